# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm metro run`` on job files of the shape of mark-stages, against a web server on this host."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import metro_site
import pytest
from metro_site import EPOCH, Site, read

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hooks on the host are tested as root")

HTTP, ANISE = "stage3-http", "stage3-anise"


@pytest.fixture
def site(tmp_path: Path, busybox_tar: Path) -> Iterator[Site]:
    with metro_site.serving(tmp_path, busybox_tar) as made:
        yield made


def test_a_job_from_a_tarball(site: Site) -> None:
    ran = site.run(HTTP, "--allow-host-hooks")
    assert ran.status == 0, ran.err
    tarball = site.tarball(HTTP)
    found = read(tarball, "./var/db/world", "./etc/motd", "./etc/extras", "./usr/source")
    assert found["./var/db/world"] == b"emerge --jobs=4 --keep-going=n -j9 core 4 unset unset\n", (
        "texts and numbers only"
    )
    assert found["./etc/motd"] == b"Stage 1.4 of 2026-11-27\n"
    assert found["./etc/extras"] == b"terra next\n"
    assert "minimal\n" in ran.out, "what hooks write is shown"
    assert (site.folder / "workspace/distfiles/package-1.0").read_text() == "built\n"
    assert (site.folder / "workspace/logs/where").read_text() == f"{site.folder}\n"
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    assert (site.folder / "workspace/logs/announced").read_text() == f"{digest}  {tarball}\n"
    assert tarball.with_name(f"{tarball.name}.sha256").read_text() == f"{digest}  {tarball.name}\n"
    assert (site.folder / f"cache/1.4/stage3-{metro_site.DATE}.tar.gz").is_file()
    assert not (site.folder / "workspace/rootfs").exists()


def test_the_tarball_keeps_what_mark_devkit_loses(site: Site) -> None:
    assert site.summary(HTTP)["status"] == 0
    with tarfile.open(site.tarball(HTTP)) as tar:
        members = {member.name: member for member in tar}
    assert next(iter(members)) == "."
    assert members["."].mode == 0o755
    assert members["./usr/hard"].mode == members["./usr/source"].mode == 0o4755
    assert members["./usr/source"].islnk()
    assert members["./root"].mtime == 0, "the seed's own time"
    assert max(member.mtime for member in members.values()) == int(EPOCH)
    assert all(member.uname == member.gname == "" for member in members.values())
    assert not [name for name in members if name.startswith("./var/cache/")], "a bind is no part of the root"


def test_it_is_the_same_tarball_on_another_path(site: Site, tmp_path: Path, busybox_tar: Path) -> None:
    first = site.summary(HTTP)["output"]["sha256"]
    with metro_site.serving(tmp_path / "other", busybox_tar) as other:
        second = other.summary(HTTP)["output"]["sha256"]
        changed = other.summary(HTTP, SOURCE_DATE_EPOCH=str(int(EPOCH) + 86400))["output"]["sha256"]
    assert first == second != changed


def test_a_job_from_packages(site: Site, busybox_tar: Path) -> None:
    metro_site.publish_wagons(site, busybox_tar)
    ran = site.farm("mark-devkit", "metro", "run", "--specfile", "jobs/stage3.yaml", "--job", ANISE)
    assert ran.status == 0, ran.err
    with tarfile.open(site.tarball(ANISE)) as tar:
        names = set(tar.getnames())
    assert {"./usr/bin/hello", "./usr/bin/tool", "./bin/sh", "./etc/luet/repos.conf.d/extra.yaml"} <= names
    assert "./usr/share/doc/tool/README" not in names, "the hook before the source defined a subset"
    assert "./etc/luet/subsets.def.d/00-docs.yaml" in names
    assert not [name for name in names if name.startswith("./var/cache/")], "as the last hook has it"


def test_hooks_on_the_host_have_to_be_allowed(site: Site) -> None:
    ran = site.run(HTTP)
    assert ran.status == 1
    assert ran.err.count("host-hook-not-allowed") == 4
    assert "hooks/steps/prepare.yml:5:3" in ran.err
    assert not site.asked
    assert not (site.folder / "cache").exists()
    assert site.run(HTTP, "--skip-hooks-phase").status == 0, "nothing to allow"
    command = ("mark-devkit", "metro", "j", "--specfile", "jobs/stage3.yaml", "--job", HTTP)
    assert "host-hook-not-allowed" in site.farm(*command, "--allow-host-hooks=false").err
    assert site.farm(*command, "--quiet").status == 0, "the drop-in allows them, as mark-devkit does"


def test_hooks_do_not_get_the_whole_environment(site: Site) -> None:
    hooks = (
        "\n- name: inner-env\n  commands: [env >/env]\n- {name: host-env, type: outer-post-chroot, commands: [env]}\n"
    )
    site.add_hook("targets/stage3.yml", hooks)
    ran = site.run(HTTP, "--allow-host-hooks", "--pass-env", "TOKEN,NONE", SECRET="s3cret", TOKEN="t0ken")
    assert ran.status == 0, ran.err
    inner = read(site.tarball(HTTP), "./env")["./env"].decode()
    rootfs = site.folder / "workspace/rootfs"
    assert f"MARKDEVKIT_ROOTFS={rootfs}\n" in inner and f"MARKDEVKIT_WORKSPACE={rootfs.parent}\n" in inner
    assert "MARKDEVKIT_VERSION=" in inner and "flavor_name=core\n" in inner and "minimal=" not in inner
    assert f"MARKDEVKIT_ROOTFS={rootfs}\n" in ran.out, "the hook on the host"
    assert "s3cret" not in inner + ran.out
    assert ("TOKEN=t0ken\n" in ran.out, "t0ken" in inner) == (True, False)
    assert "MARKDEVKIT_OUTPUTNAME" not in inner + ran.out


def test_without_cleanup_the_root_stays_and_can_be_gone_on_with(site: Site) -> None:
    rootfs = site.folder / "workspace/rootfs"
    assert site.summary(HTTP, "--cleanup=false", "--skip-packer-phase")["status"] == 0
    assert (rootfs / "etc/motd").read_text() == "Stage 1.4 of 2026-11-27\n"
    assert stat.S_IMODE((rootfs / "usr/hard").stat().st_mode) == 0o4755
    assert not site.tarball(HTTP).exists()
    (rootfs / "etc/motd").write_text("by hand\n")
    before = len(site.asked)
    assert site.summary(HTTP, "--skip-source-phase", "--skip-hooks-phase")["status"] == 0
    assert len(site.asked) == before
    assert read(site.tarball(HTTP), "./etc/motd")["./etc/motd"] == b"by hand\n"
    assert not rootfs.exists(), "cleaned up"
    ran = site.run(HTTP, "--skip-source-phase", "--skip-hooks-phase")
    assert (ran.status, "no-rootfs" in ran.err) == (1, True)


def test_tarformers_specs(site: Site) -> None:
    path = site.folder / "jobs/stage3.yaml"
    source = (
        "    tarformers_specs:\n      ignore_regexes: ['^/bin/v']\n      rename: [{source: /etc, dest: /settings}]\n"
    )
    output = (
        "    tarformers_specs:\n      ignore_files: [/bin/busybox]\n      remap_uids: {'0': '250'}\n"
        "      match_prefix: [/bin/busybox, /bin/awk, /settings]\n"
    )
    text = path.read_text().replace("  hooks_files:", source + "  hooks_files:", 1)
    path.write_text(text.replace("  environments:", output + "  environments:", 1))
    ran = site.run(HTTP, "--skip-hooks-phase")
    assert ran.status == 0, ran.err
    with tarfile.open(site.tarball(HTTP)) as tar:
        assert sorted(tar.getnames()) == [".", "./bin", "./settings"], "a link to what is left out is left out"
        assert {member.uid for member in tar if member.name != "."} == {250}


def test_list_and_diagnose(site: Site) -> None:
    listed = site.farm("metro", "list", "--specfile", "jobs/stage3.yaml", "--json").json()
    assert [(job["name"], job["source"]) for job in listed] == [(HTTP, "http"), (ANISE, "anise")]
    words = ("--specfile", "jobs/stage3.yaml", "--job", HTTP)
    shown = site.farm("mark-devkit", "diagnose", "job", *words, "--json").json()
    assert shown["output"]["name"] == shown["omitempty"]["name"] == site.tarball(HTTP).name
    assert shown["source"]["uri"] == f"{site.base}/1.4/x86-64bit/stage3-latest.tar.gz"
    hooks = [hook["name"] for file in shown["hooks"] for hook in file["hooks"]]
    assert hooks == ["workspace", "release-file", "stage3", "links", "cleanup-rootfs", "announce"]
    text = site.farm("metro", "show", *words).out
    assert f"        name: {site.tarball(HTTP).name}\n" in text
    assert text.startswith("job:\n")
    assert site.farm("mark-devkit", "metro", "run", "--specfile", "jobs/stage3.yaml").status == 1, "no --job"
    assert site.farm("mark-devkit", "metro", "run", "--nonsense").status == 1
    assert site.farm("mark-devkit", "metr").status == 1
