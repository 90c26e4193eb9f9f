# SPDX-License-Identifier: GPL-3.0-or-later
"""Metro jobs that go wrong: nothing half-made, the host untouched, and the next run goes on."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import metro_site
import pytest
from metro_site import Site, read

from farm.store.signature import SecretKey, sign

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hooks on the host are tested as root")

HTTP = "stage3-http"
COUNTER = "- name: count\n  commands: ['echo ran >>/var/cache/distfiles/count']\n"


@pytest.fixture
def site(tmp_path: Path, busybox_tar: Path) -> Iterator[Site]:
    with metro_site.serving(tmp_path, busybox_tar) as made:
        yield made


def _count(site: Site) -> int:
    return len((site.folder / "workspace/distfiles/count").read_text().splitlines())


def _spec(site: Site, old: str, new: str) -> None:
    path = site.folder / "jobs/stage3.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def test_a_hook_that_fails_is_named_and_the_next_run_goes_on(site: Site) -> None:
    site.add_hook("targets/stage3.yml", COUNTER)
    good = (site.folder / "hooks/steps/finish.yml").read_text()
    site.hook("steps/finish.yml", good.replace("  commands:", "  commands:\n    - echo about to; exit 7", 1))
    ran = site.run(HTTP, "--allow-host-hooks", "--quiet")
    assert ran.status == 1
    assert "hook cleanup-rootfs (outer-post-chroot), command 1 of 3: exit status 7" in ran.err
    assert "| about to" in ran.err and "hooks/steps/finish.yml:2:3" in ran.err
    assert not site.tarball(HTTP).parent.exists()
    assert list((site.folder / "workspace").glob("rootfs*")) == []
    again = site.summary(HTTP, "--fresh")
    assert (again["failed"], _count(site)) == (
        ["hook cleanup-rootfs (outer-post-chroot), command 1 of 3: exit status 7: echo about to; exit 7"],
        2,
    )
    site.hook("steps/finish.yml", good)
    last = site.summary(HTTP)
    assert (last["status"], last["resumed"]) == (0, True)
    assert _count(site) == 2, "the hooks before were not run again"
    last = site.summary(HTTP)
    assert (last["status"], last["resumed"]) == (0, False)
    assert _count(site) == 3, "after a run that ended well, everything is made anew, as mark-devkit does"


@pytest.mark.slow
def test_without_cleanup_the_root_stays_after_a_failure(site: Site) -> None:
    site.hook("steps/prepare.yml", "hooks: [{name: wrong, commands: ['echo x >/x', 'false']}]\n")
    assert site.summary(HTTP, "--cleanup=false")["status"] == 1
    rootfs = site.folder / "workspace/rootfs"
    assert (rootfs / "bin/sh").exists()
    assert not (rootfs / "x").exists(), "the root as the last finished step left it"
    site.hook("steps/prepare.yml", "hooks: [{name: right, commands: ['echo x >/x']}]\n")
    (rootfs / "by-hand").write_text("y\n")
    assert site.summary(HTTP, "--skip-source-phase")["status"] == 0
    assert read(site.tarball(HTTP), "./x", "./by-hand") == {"./x": b"x\n", "./by-hand": b"y\n"}


def test_what_is_wrong_is_found_before_anything_runs(site: Site) -> None:
    _spec(site, "type: file", "type: docker")
    _spec(site, "    - steps/prepare.yml", "    - steps/nowhere.yml")
    _spec(site, "      target: /var/cache/distfiles", "      target: /dev/shm/x")
    stage = (site.folder / "hooks/targets/stage3.yml").read_text()
    site.hook("targets/stage3.yml", stage.replace("type: outer-chroot", "type: outer-chrot"))
    ran = site.run(HTTP, "--allow-host-hooks")
    assert ran.status == 1
    for code in ("bad-output-type", "missing-hooks-file", "bad-hook-type", "bad-bind"):
        assert f"[{code}]" in ran.err
    assert "hooks/targets/stage3.yml:21:9" in ran.err
    assert not site.asked
    assert not (site.folder / "cache").exists()


def test_a_seed_that_is_not_there(site: Site) -> None:
    _spec(site, "/stage3-latest.tar.gz", "/stage4-latest.tar.gz")
    ran = site.run(HTTP, "--allow-host-hooks")
    assert ran.status == 1
    assert "HTTP 404" in ran.err
    assert list((site.folder / "cache/1.4").glob("*.gz")) == []


def test_the_farms_own_keys_verify_a_seed(site: Site) -> None:
    seed = site.web / "1.4/x86-64bit/stage3-latest.tar.gz"
    good, bad = hashlib.sha256(seed.read_bytes()).hexdigest(), "0" * 64
    _spec(site, "    type: http", f"    type: http\n    sha256: {bad}")
    ran = site.run(HTTP, "--skip-hooks-phase")
    assert ran.status == 1
    assert "expected 000" in ran.err
    assert list((site.folder / "cache/1.4").iterdir()) == []
    target = site.folder / f"cache/1.4/stage3-{metro_site.DATE}.tar.gz"
    target.write_bytes(b"something else of yesterday")
    _spec(site, bad, good)
    ran = site.run(HTTP, "--skip-hooks-phase")
    assert ran.status == 0
    assert "unverified-source" not in ran.err
    assert target.read_bytes() == seed.read_bytes()


@pytest.mark.slow
def test_a_signed_seed(site: Site) -> None:
    key, other = (SecretKey(bytes([n]) * 8, bytes([n]) * 32) for n in (1, 2))
    seed = site.web / "1.4/x86-64bit/stage3-latest.tar.gz"
    seed.with_name(f"{seed.name}.minisig").write_bytes(sign(seed.read_bytes(), other, "not ours"))
    own = f"    type: http\n    signature: '{site.base}/1.4/x86-64bit/{seed.name}.minisig'\n    key: {key.public.text}"
    _spec(site, "    type: http", own)
    ran = site.run(HTTP, "--skip-hooks-phase")
    assert (ran.status, "[untrusted-key]" in ran.err) == (1, True), ran.err
    assert not (site.folder / f"cache/1.4/stage3-{metro_site.DATE}.tar.gz").exists()
    seed.with_name(f"{seed.name}.minisig").write_bytes(sign(seed.read_bytes(), key, "ours"))
    assert site.run(HTTP, "--skip-hooks-phase").status == 0


def test_a_hook_that_deletes_all_leaves_the_host_alone(site: Site) -> None:
    site.add_hook(
        "steps/finish.yml", "- {name: rm, type: outer-post-chroot, commands: ['rm -rf ${MARKDEVKIT_ROOTFS}/*']}\n"
    )
    (site.folder / "workspace/rootfs").mkdir()
    (site.folder / "workspace/rootfs/mine").touch()
    site.add_hook(
        "targets/stage3.yml",
        "- {name: harm, commands: ['rm -rf /etc /usr || true; echo 1 >/proc/sys/kernel/sysrq || true']}\n",
    )
    last = site.summary(HTTP, "--skip-packer-phase", "--cleanup=false")
    assert last["status"] == 0, last["failed"]
    left = sorted(path.name for path in (site.folder / "workspace/rootfs").iterdir())
    assert left == []
    assert Path("/etc/passwd").exists()


SLOW = {
    "workspace": "steps/prepare",
    "stage3": "targets/stage3",
    "cleanup-rootfs": "steps/finish",
    "announce": "steps/finish",
}


@pytest.mark.parametrize(
    "phase",
    [
        "stage3",
        *(pytest.param(phase, marks=pytest.mark.slow) for phase in ("workspace", "download", "source")),
        *(pytest.param(phase, marks=pytest.mark.slow) for phase in ("cleanup-rootfs", "tarball", "output", "announce")),
    ],
)
def test_killed_in_a_phase_the_next_run_goes_on(site: Site, phase: str) -> None:
    """The hook that counts comes early: it must run once in all."""
    site.add_hook("steps/prepare.yml", COUNTER)
    file = f"{SLOW.get(phase, 'steps/prepare')}.yml"
    good = (site.folder / "hooks" / file).read_text()
    slow = good.replace("  commands:", "  commands:\n    - test -e @/go || sleep 60".replace("@", str(site.folder)))
    site.hook(file, slow if phase in SLOW else good)
    with subprocess.Popen(
        [
            *site.command("metro", "run"),
            "--specfile",
            "jobs/stage3.yaml",
            "--job",
            HTTP,
            "--allow-host-hooks",
            "--json",
        ],
        cwd=site.folder,
        stdout=subprocess.PIPE,
        text=True,
        env=site.environ(),
    ) as process:
        assert process.stdout
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "node-started" and event["node"].endswith(phase):
                process.kill()
                break
    assert str(site.folder) not in Path("/proc/self/mountinfo").read_text()
    site.hook(file, good)
    last = site.summary(HTTP)
    assert (last["status"], last["resumed"]) == (0, True), last["failed"]
    assert _count(site) == 1
    assert (last["counts"].get("cached", 0) > 0) == (phase != "workspace")
    assert read(site.tarball(HTTP), "./etc/motd")["./etc/motd"] == b"Stage 1.4 of 2026-11-27\n"
    assert not [*site.tarball(HTTP).parent.glob(".*"), *(site.folder / "cache/1.4").glob(".*")]


def test_the_same_job_does_not_run_twice_at_a_time(site: Site) -> None:
    site.hook("steps/finish.yml", "hooks: [{name: wait, commands: [sleep 600]}]\n")
    command = [*site.command("metro", "run"), "--specfile", "jobs/stage3.yaml", "--job", HTTP, "--allow-host-hooks"]
    with subprocess.Popen(
        [*command, "--json"], cwd=site.folder, stdout=subprocess.PIPE, text=True, env=site.environ()
    ) as first:
        assert first.stdout
        assert any(json.loads(line).get("node", "").endswith("05-wait") for line in first.stdout)
        second = site.run(HTTP, "--allow-host-hooks")
        first.terminate()
        first.stdout.read()
    assert (second.status, "[metro-busy]" in second.err, first.returncode) == (1, True, 130)


@pytest.mark.slow
def test_a_full_disk(site: Site) -> None:
    """The store is on a small disk of its own, which then gets larger."""
    site.add_hook(
        "targets/stage3.yml", COUNTER + "- {name: big, commands: ['dd if=/dev/zero of=/big bs=1M count=24']}\n"
    )
    site.store.mkdir()
    farm = shlex.join([*site.command("metro", "run"), "--specfile", "jobs/stage3.yaml", "--job", HTTP])
    script = f"""
        mount -t tmpfs -o size=24m none {site.store}
        {farm} --allow-host-hooks >first 2>&1; echo $? >status
        mount -o remount,size=200m {site.store}
        {farm} --allow-host-hooks >second 2>&1; echo $? >>status"""
    subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=site.folder, env=site.environ(), check=True, timeout=400)
    first, second = ((site.folder / name).read_text() for name in ("first", "second"))
    assert (site.folder / "status").read_text() == "1\n0\n", (first, second)
    assert "hook big (inner-chroot)" in first
    assert "disk" in first
    assert _count(site) == 1
    assert site.tarball(HTTP).is_file()
