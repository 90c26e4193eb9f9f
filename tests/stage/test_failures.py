# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong: bad seeds, hooks that fail, full disks, kills in each phase. The host stays as it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from stage_site import BASE, Site

from farm.engine.origin import Known
from farm.stage.layout import Layout
from farm.stage.library import Library
from farm.stage.makers import makers
from farm.stage.packages import TreePackages
from farm.stage.plan import Allowed, PlannedStage, plan_stages
from farm.stage.publish import publish
from farm.stage.verify import verify_output
from farm.store.outputs import PART
from farm.store.store import Store

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def whole(site: Site, **keys: object) -> None:
    """A stage with something in each phase."""
    site.package("app/a", BASE + "steps: ['mkdir /out', 'echo a >/out/a', 'sleep ${SLOW:-0}']\n")
    hook = {"name": "h", "point": "after-packages", "commands": ["echo h >/h"]}
    site.stage("one", packages=["app/a"], hooks=[hook], **keys)


def test_a_seed_with_another_sha256(site: Site) -> None:
    site.stage("one", seed={"url": str(site.seed), "sha256": "0" * 64})
    with site.host_untouched():
        ran = site.build("one")
    assert ran.status == 1
    failure = json.dumps(ran.summary())
    assert "source-digest-mismatch" in failure
    assert not site.folder.exists()
    site.stage("one")
    assert site.build("one").status == 0


def test_a_hook_that_fails(site: Site) -> None:
    """Nothing is given out; the next run goes on with the hook, and `next` knows of the failure."""
    site.package("app/a", BASE + "steps: [mkdir /out, echo a >/out/a]\n")
    hook = {"name": "h", "point": "after-packages", "commands": ["echo said", "exit 7"]}
    site.stage("one", packages=["app/a"], hooks=[hook])
    with site.host_untouched():
        ran = site.build("one")
    assert ran.status == 1
    failed = ran.summary()["failures"][0]
    assert (failed["node"], failed["failure"]["exit_code"]) == ("one:hook:h", 7)
    assert not site.folder.exists()
    assert site.run("next", "--json").json()["candidates"][0]["failures"] == 1
    hook["commands"] = ["echo said"]
    site.stage("one", packages=["app/a"], hooks=[hook])
    again = site.build("one")
    assert again.status == 0
    assert not {"app/a-1.0", "app/a-1.0:package", "seed:busybox.tar"} & set(again.made())
    assert site.run("next", "--json").json()["candidates"][0]["failures"] == 0


PHASES = ["seed:busybox.tar", "app/a-1.0", "app/a-1.0:package", "one:hook:h", "one:tar.zst"]


def test_killed_in_each_phase(site: Site) -> None:
    """One farm is killed again and again, each time a phase later; then it ends, and nothing was made twice."""
    whole(site)
    with site.host_untouched():
        for phase in PHASES:
            site.kill("one", at=phase)
            assert not site.folder.exists()
        ran = site.build("one")
    assert ran.status == 0, ran.err
    assert not {"seed:busybox.tar", "app/a-1.0"} & set(ran.made())
    assert site.run("verify", "one").status == 0
    store = site.root / "store"
    assert len(list((store / "sessions").iterdir())) == 0
    assert not list((store / "tmp").iterdir())


def test_killed_at_every_step_of_giving_out(site: Site) -> None:
    """A process that dies at its n-th step, for every n: what is linked is always whole, the old or the new one."""
    whole(site, outputs=["tar.zst", "oci"])
    assert site.build("one", "--version", "1").status == 0
    hook = {"name": "h", "point": "after-packages", "commands": ["echo other >/h"]}
    site.stage("one", packages=["app/a"], hooks=[hook], outputs=["tar.zst", "oci"])
    library = Library(site.root / "stages")
    planned = plan_stages([library.stage("one")], TreePackages(), Allowed(), once="x")
    ran = site.build("one", "--version", "2")
    assert ran.status == 0, ran.err
    with Store(site.root / "store") as store:
        known = Known(planned.plan, store, makers())
        layout = Layout(site.out)
        steps = 0
        while _dies_at(steps, lambda: _publish(planned.stages[0], known, store, layout, "3")):
            _linked_is_whole(layout, planned.stages[0], {"2", "3"})
            _undo(site, steps)
            steps += 1
        assert steps > 20, "every write, link and rename was a step"
        assert layout.latest(planned.stages[0].stage.release).version == "3"  # type: ignore[union-attr]
        assert list(site.out.rglob(f"*{PART}")) == []


def _publish(planned: PlannedStage, known: Known, store: Store, layout: Layout, version: str) -> None:
    publish(planned, known, store, layout, version, None)


def _undo(site: Site, steps: int) -> None:
    """Every other time what is half done is left for the next try, which has to go on from there."""
    if steps % 2:
        subprocess.run(["rm", "-rf", site.folder / "3"], check=True)
        link = site.folder / "one-latest"
        link.unlink()
        link.symlink_to("2/one-latest")


def _dies_at(step: int, work: Callable[[], None]) -> bool:
    """Runs ``work`` in a child that is killed just before its step number ``step``. Whether it was."""
    pid = os.fork()
    if pid == 0:
        try:
            _kill_before(step)
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001  the child must not go on with the test
            import traceback

            traceback.print_exc()
            os._exit(3)
    status = os.waitpid(pid, 0)[1]
    assert status == 0 or os.WIFSIGNALED(status), status
    return os.WIFSIGNALED(status)


def _kill_before(step: int) -> None:
    left = step

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*words: object, **named: object) -> object:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return call(*words, **named)

        return wrapped

    for owner, names in ((Path, ("replace", "rename", "symlink_to", "write_text", "mkdir")), (os, ("fsync",))):
        for name in names:
            setattr(owner, name, counted(getattr(owner, name)))


def _linked_is_whole(layout: Layout, planned: PlannedStage, versions: set[str]) -> None:
    release = planned.stage.release
    link = layout.latest_folder(release)
    assert link.readlink().parts[0] in versions
    for name in (f"{release.target}-latest.tar.zst", f"{release.target}-latest.oci"):
        file = layout.folder(release) / name
        assert [one for one in verify_output(file.resolve(strict=True), []) if one.verdict == "bad"] == []
        subprocess.run(["sha256sum", "--quiet", "-c", f"{name}.sha256"], cwd=file.parent, check=True)
    latest = layout.latest(release)
    assert latest
    assert latest.complete


@needs_root
@pytest.mark.root
@pytest.mark.parametrize("where", ["store", "out"])
def test_a_full_disk(site: Site, where: str) -> None:
    """The store's or the layout's disk is full in the middle: it is said so, and with more room it goes on."""
    words = ["dd if=/dev/urandom of=/big bs=1024k count=6"]
    site.stage("one", hooks=[{"name": "h", "point": "after-seed", "commands": words}], outputs=["tar"])
    room = "12m" if where == "store" else "3m"
    folder = site.root / where
    folder.mkdir()
    command = " ".join(site.command("build", "--json", "one"))
    script = (
        f"mount -t tmpfs -o size={room} x {folder} || exit 99\n"
        f"{command} >{site.root}/first; echo $? >{site.root}/status\n"
        f"ls -A {site.folder} >{site.root}/listed 2>&1\n"
        f"mount -o remount,size=2g {folder}; {command} >{site.root}/second"
    )
    with site.host_untouched():
        done = subprocess.run(
            ["unshare", "-m", "/bin/sh", "-c", script], cwd=site.root, env=site.env(), capture_output=True
        )
    assert done.returncode == 0, done.stderr
    assert (site.root / "status").read_text().strip() == "1"
    first = (site.root / "first").read_text() + done.stderr.decode()
    assert "disk" in first
    assert "latest" not in (site.root / "listed").read_text()
    second = [json.loads(line) for line in (site.root / "second").read_text().splitlines()]
    made = [event["node"] for event in second if event.get("event") == "node-finished" and event["status"] == "ok"]
    assert "seed:busybox.tar" not in made
    assert second[-1]["published"]


def test_cancelled(site: Site) -> None:
    """Ctrl-C: nothing is given out, and it is nobody's failure."""
    hook = {"name": "h", "point": "after-seed", "commands": ["sleep 60"]}
    site.stage("one", hooks=[hook])
    with site.host_untouched(), site.building("one", until="one:hook:h") as process:
        killer = threading.Timer(0.3, process.send_signal, (signal.SIGINT,))
        killer.start()
        assert process.stdout
        rest = process.stdout.read()
        assert process.wait(60) == 130, rest
    assert not site.folder.exists()
    assert site.run("next", "--json").json()["candidates"][0]["failures"] == 0
