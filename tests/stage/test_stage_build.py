# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages through the real command line and the real sandbox: what is in them, and what is made again."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from stage_site import BASE, Site

from farm.store.archive import decompressed, opened

CAPABILITY = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
"""cap_net_bind_service=ep, as Linux keeps it (linux/capability.h, vfs_cap_data revision 2)."""


def names(file: Path) -> dict[str, tarfile.TarInfo]:
    """Entries of a tarball by name."""
    with opened(file) as (head, stream):
        content = io.BytesIO()
        plain = decompressed(head, stream)
        while piece := plain.read(1 << 20):
            content.write(piece)
    content.seek(0)
    with tarfile.open(fileobj=content) as tar:
        return {entry.name: entry for entry in tar}


def special_seed(site: Site) -> dict[str, str]:
    """The seed with a set-id program, capabilities, an attribute, a hard link, a device and an old time."""
    import hashlib

    path = site.root / "special.tar"
    with tarfile.open(site.seed) as source, tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as out:
        for entry in source:
            out.addfile(entry, source.extractfile(entry) if entry.isreg() else None)
        entry = tarfile.TarInfo("usr/special")
        entry.size, entry.mode, entry.mtime, entry.uid, entry.gid = 3, 0o4755, 1000000000, 7, 8
        attributes = {"SCHILY.xattr.security.capability": CAPABILITY, "SCHILY.xattr.user.note": b"kept"}
        entry.pax_headers = {k: v.decode("utf-8", "surrogateescape") for k, v in attributes.items()}
        out.addfile(entry, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("usr/other")
        link.type, link.linkname = tarfile.LNKTYPE, "usr/special"
        out.addfile(link)
    return {"url": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_all_formats_are_the_same_everywhere(site: Site, tmp_path: Path, box: Path) -> None:
    """Two farms on different paths: the same bytes, with all metadata; lists and digests fit."""
    other = Site(tmp_path / "elsewhere" / "deep", box)
    other.root.mkdir(parents=True)
    digests = []
    for one in (site, other):
        one.package("app/hello", BASE + "steps: [mkdir -p /out/usr/bin, echo 'echo hello' >/out/usr/bin/hello]\n")
        hook = {"name": "mark", "point": "before-outputs", "commands": ["echo x >/marked", "mkdir /tmp/skipped"]}
        formats = ["tar", "tar.gz", "tar.xz", "tar.zst", "oci", "lxd"]
        seed = special_seed(one)
        one.stage(
            "stage3", packages=["app/hello"], hooks=[hook], seed=seed, outputs=formats, excludes=["^/tmp/skipped"]
        )
        ran = one.build("stage3")
        assert ran.status == 0, ran.err
        digests.append({o["format"]: o["sha256"] for o in ran.summary()["published"][0]["outputs"]})
    assert digests[0] == digests[1]
    _metadata(site)
    _beside(site)
    _images(site)


def _metadata(site: Site) -> None:
    entries = names(site.tarball("stage3", ".tar.xz"))
    first, second = entries["usr/other"], entries["usr/special"]
    assert (first.mode, first.mtime, first.uid, first.gid) == (0o4755, 1000000000, 7, 8)
    assert first.pax_headers["SCHILY.xattr.security.capability"].encode("utf-8", "surrogateescape") == CAPABILITY
    assert first.pax_headers["SCHILY.xattr.user.note"] == "kept"
    assert (second.type, second.linkname) == (tarfile.LNKTYPE, "usr/other")
    assert {"marked", "usr/bin/hello"} <= set(entries)
    assert "tmp/skipped" not in entries
    assert {key: entry.mode for key, entry in names(site.tarball("stage3", ".tar")).items()} == {
        key: entry.mode for key, entry in entries.items()
    }


def _beside(site: Site) -> None:
    for end in (".tar", ".tar.gz", ".tar.xz", ".tar.zst", ".oci", ".lxd.tar.xz"):
        for kind in ("sha256", "sha512"):
            subprocess.run([f"{kind}sum", "--quiet", "-c", f"stage3-latest{end}.{kind}"], cwd=site.folder, check=True)
    for end in (".tar.xz", ".lxd.tar.xz"):
        name = f"stage3-latest{end}"
        listed = subprocess.run(["zcat", f"{name}.CONTENTS.gz"], cwd=site.folder, capture_output=True, check=True)
        tar = ["tar", "--numeric-owner", "-tvf", name]
        shown = subprocess.run(tar, cwd=site.folder, capture_output=True, check=True, env={**os.environ, "TZ": "UTC"})
        assert listed.stdout == shown.stdout
    verified = site.run("verify", "--json", "stage3")
    assert verified.status == 0
    verdicts = {(one["what"], one["verdict"]) for one in verified.json()}
    assert verdicts == {("sha256", "ok"), ("sha512", "ok"), ("contents", "ok"), ("signature", "missing")}
    bill = json.loads((site.folder / "stage3-latest.tar.xz.cdx.json").read_text())
    assert "app/hello-1.0" in {one["bom-ref"] for one in bill["components"]}
    info = json.loads((site.folder / "stage3-latest/stage3-latest.build-info.json").read_text())
    assert info["ARCH"] == "x86_64"
    assert list(info["packages"]) == ["app/hello-1.0"]


def _images(site: Site) -> None:
    lxd = names(site.tarball("stage3", ".lxd.tar.xz"))
    assert {"metadata.yaml", "rootfs/marked", "templates/hostname.tpl"} <= set(lxd)
    assert lxd["rootfs/usr/special"].linkname == "rootfs/usr/other"
    assert lxd["rootfs/usr/other"].mode == 0o4755
    layout = site.folder / "stage3-latest.oci"
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads((layout / "blobs/sha256" / index["manifests"][0]["digest"][7:]).read_text())
    config = json.loads((layout / "blobs/sha256" / manifest["config"]["digest"][7:]).read_text())
    digest = subprocess.run(
        ["sha256sum", site.tarball("stage3", ".tar")], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{digest}"]
    assert config["architecture"] == "amd64"


def test_an_oci_layout_is_a_seed(site: Site) -> None:
    site.stage("one", outputs=["oci"], image=None)
    assert site.build("one").status == 0
    layout = f"{site.folder}/one-latest.oci"
    hook = {"name": "b", "point": "after-seed", "commands": ["test -x /bin/busybox", "echo >/b"]}
    site.stage("two", seed={"oci": layout}, hooks=[hook], image=None)
    assert site.build("two").status == 0
    assert {"b", "bin/busybox"} <= set(names(site.tarball("two")))
    site.stage("three", seed={"oci": layout, "digest": "0" * 64}, image=None)
    assert "digest-mismatch" in json.dumps(site.build("three").summary())


def test_early_cut_off(site: Site) -> None:
    """A comment rebuilds nothing; a compiler that gives the same bytes rebuilds itself alone."""
    compiler = "steps:\n- mkdir -p /out/bin\n- echo 'cat \"$1\"' >/out/bin/cc{}\n"
    site.package("one/cc", BASE + compiler.format(""))
    needs = "requires: [{category: one, name: cc, version: '>=0'}]\nrequires_final_images: true\npackage_dir: /out\n"
    site.package("box/sh", "image: base\nunpack: true\n")
    needs = needs.replace("requires: [", "requires: [{category: box, name: sh, version: '>=0'}, ")
    program = "steps: ['mkdir -p /out', 'echo text >a', '/bin/sh /bin/cc a >/out/program']\n"
    site.package("two/program", needs + program)
    site.stage("stage1", root="empty", packages=["one/cc"])
    site.stage("stage2", seed={"stage": "stage1"}, root="empty", packages=["two/program"], image=None)
    first = site.build("stage2")
    assert first.status == 0, first.err
    assert site.build("stage2").made() == []

    site.package("one/cc", "# a remark\n" + BASE + compiler.format("") + "# another\n")
    assert site.build("stage2").made() == []

    site.package("one/cc", BASE + compiler.format("; echo '# other' >>/out/bin/cc"))
    changed = site.build("stage2")
    made = set(changed.made())
    assert {"one/cc-1.0", "two/program-1.0", "stage1:tar.zst"} <= made
    assert not made & {"two/program-1.0:unpacked", "stage2:tar.zst", "stage2:tar.zst:contents"}
    assert list(changed.summary()["unchanged"]) == ["stage2"]

    site.package("one/cc", BASE + compiler.format("; echo '# other' >>/out/bin/cc; true"))
    made = set(site.build("stage2").made())
    assert made == {"one/cc-1.0"}, "the same compiler by other commands stops at once"


def test_hooks_checks_binds_and_finalizers(site: Site) -> None:
    folder = site.package("app/a", BASE + "steps: [mkdir /out, echo a >/out/a]\n", requires=[
        {"category": "app", "name": "b", "version": ">=0"}])  # fmt: skip
    (folder / "finalize.yaml").write_text("install: ['cat /a /b >/finalized']\n")
    site.package("app/b", BASE + "steps: [mkdir /out, echo b >/out/b]\n")
    hooks = [
        {"name": "seed", "point": "after-seed", "commands": ["test ! -e /a", "echo $WORD >/word"]},
        {"name": "shell", "point": "after-packages", "entrypoint": ["/bin/sh", "-e", "-c"],
         "commands": ["cat /finalized; echo $WORD$MORE; echo >>/var/kept/count"], "environment": {"MORE": "b $x 'c'"}},
    ]  # fmt: skip
    check = {"name": "all", "commands": ["test -s /finalized", "echo >/not-in-it", "test -e /var/kept/count"]}
    keys = {"environment": {"WORD": "hello"}, "binds": [{"cache": "kept", "target": "/var/kept"}]}
    site.stage("one", packages=["app/a"], hooks=hooks, checks=[check], **keys)
    ran = site.build("one")
    assert ran.status == 0, ran.err
    entries = names(site.tarball("one"))
    assert {"a", "b", "finalized", "word"} <= set(entries)
    assert "not-in-it" not in entries
    assert "var/kept/count" not in entries
    log = next((site.root / "store" / "logs").glob("*/*hook*shell*")).read_text()
    assert log == "a\nb\nhellob $x 'c'\n"
    assert (site.root / "store/caches/kept/count").read_text() == "\n"

    check["commands"] = ["exit 3"]
    site.stage("one", packages=["app/a"], hooks=hooks, checks=[check], outputs=["tar"], **keys)
    failed = site.build("one")
    assert failed.status == 1
    assert failed.summary()["published"] == []
    assert list(failed.summary()["failed"]) == ["one"]
    assert (site.root / "store/caches/kept/count").read_text() == "\n", "the hook was cached"


def test_subsets_leave_files_out(site: Site) -> None:
    rules = {"subsets": {"rules": {"devel": ["^/usr/include"]}}}
    site.package(
        "lib/a", BASE + "steps: [mkdir -p /out/usr/include /out/usr/lib, touch /out/usr/include/a.h /out/usr/lib/a]\n",
        annotations=rules,
    )  # fmt: skip
    site.stage("one", packages=["lib/a"])
    assert site.build("one").status == 0
    assert "usr/lib/a" in names(site.tarball("one"))
    assert "usr/include/a.h" not in names(site.tarball("one"))
    site.stage("one", packages=["lib/a"], subsets={"enabled": ["devel"]})
    ran = site.build("one")
    assert "lib/a-1.0" not in ran.made(), "packed anew at most, not built"
    assert "usr/include/a.h" in names(site.tarball("one"))


def test_hooks_on_the_host(site: Site) -> None:
    """They need to be allowed, run outside, are never cached, and see the root."""
    marks = site.root / "marks"
    hooks = [
        {"name": point, "point": point, "where": "host", "commands": [f"echo {point} >>{marks}"]}
        for point in ("before-seed", "after-outputs")
    ]
    hooks[1]["commands"].append(f"ls $FARM_OUTPUT_DIR >>{marks}")
    root = {"name": "root", "point": "before-outputs", "where": "host",
            "commands": ["test -x $FARM_ROOTFS/bin/busybox", "cp /proc/self/status $FARM_ROOTFS/status",
                         f"test -d {site.root}", "echo x >$FARM_ROOTFS/made"]}  # fmt: skip
    root["commands"][1] = "echo fixed >$FARM_ROOTFS/status"
    site.stage("one", hooks=[*hooks, root])
    assert "[host-hook]" in site.build("one").err
    assert not marks.exists()
    for _ in range(2):
        with site.host_untouched():
            ran = site.build("--allow-host-hooks", "one")
        assert ran.status == 0, ran.err
        assert "one:host:root" in ran.made(), "never cached"
    assert {"made", "status"} <= set(names(site.tarball("one")))
    assert marks.read_text().split()[0] == "before-seed"
    assert "after-outputs" in marks.read_text()
    assert list((site.root / "store/hook-root").iterdir()) == []
    assert ran.summary()["unchanged"], "the same bytes all the same"


def test_quick_begins_with_the_last_good_one(site: Site) -> None:
    site.stage("base")
    hook = {"name": "h", "point": "after-seed", "commands": ["echo x >>/count"]}
    site.stage("full", seed={"stage": "base"}, hooks=[hook])
    assert "[no-last-stage]" in site.build("--strategy", "quick", "full").err
    assert site.build("full").status == 0
    ran = site.build("--strategy", "quick", "full", "--version", "2")
    assert ran.status == 0, ran.err
    assert not any(node.startswith("base:") for node in ran.made())
    assert names(site.tarball("full"))["count"].size == 4
    info = json.loads((site.folder / "full-latest/full-latest.build-info.json").read_text())
    assert info["seed"]["kind"] == "archive"


def test_wagons_are_a_seed(site: Site) -> None:
    """Packages of a wagon, installed by the farm's client: files, finalizers and the client's database."""
    folder = site.package("app/a", BASE + "steps: [mkdir /out, echo a >/out/a]\n")
    (folder / "finalize.yaml").write_text("install: ['echo f >/finalized']\n")
    site.package("app/sh", "image: base\nunpack: true\n")
    (site.root / "tree/farm.yaml").write_text(f"seeds: {{base: {site.seed_text}}}\n")

    def farm(*words: str) -> None:
        import sys

        command = [sys.executable, "-m", "farm", *words]
        subprocess.run(command, cwd=site.root, env=site.env(), check=True, capture_output=True)

    farm("build", "--store", "store", "--tree", "tree", "--all", "--destination", "packages")
    farm("wagon", "create", "-o", "wagon", "--packages", "packages", "--name", "w", "--tree", "tree")
    site.stage("one", seed={"wagons": ["../wagon"], "packages": ["app/sh", "app/a"]}, image=None)
    ran = site.build("one")
    assert ran.status == 0, ran.out[-3000:] + ran.err
    entries = names(site.tarball("one"))
    assert {"a", "finalized", "bin/sh", "var/cache/luet/anise.sqlite"} <= set(entries)
    assert site.build("one").made() == []
    words = ("--packages", "packages", "--name", "w", "--tree", "tree", "--platform", "linux/arm64")
    farm("wagon", "create", "-o", "foreign", *words)
    site.stage("two", seed={"wagons": ["../foreign"], "packages": ["app/sh", "app/a"]}, image=None)
    refused = site.build("two")
    assert refused.status == 1 and "foreign-package" in refused.out + refused.err


def test_signed(site: Site) -> None:
    import sys

    new = [sys.executable, "-m", "farm", "key", "new", "--name", "release"]
    subprocess.run(new, env=site.env(), check=True, capture_output=True)
    site.stage("one")
    assert site.build("one", "--key", "release").status == 0
    ran = site.run("verify", "--json", "--signed", "one")
    assert ran.status == 0
    assert ("signature", "ok") in {(one["what"], one["verdict"]) for one in ran.json()}
    public = (site.root / ".config/farm/keys/release.pub").read_text().splitlines()[1]
    tarball = site.tarball("one")
    site.stage("two", seed={"url": str(tarball), "key": public}, image=None)
    assert site.build("two").status == 0, "a signature is as good as a sha256"

    content = tarball.read_bytes()
    tarball.write_bytes(content[:-1] + bytes((content[-1] ^ 1,)))
    ran = site.run("verify", "--json", str(tarball))
    assert ran.status == 1
    assert {one["what"] for one in ran.json() if one["verdict"] == "bad"} == {
        "sha256",
        "sha512",
        "signature",
        "contents",
    }
    site.stage("three", seed={"url": str(tarball), "key": public}, image=None)
    failed = site.build("three", store="other")
    assert failed.status == 1
    assert "bad-signature" in json.dumps(failed.summary())


def test_versions_do_not_change(site: Site) -> None:
    """What is given out stays; other bytes on the same day get another version; the same bytes get none."""
    site.stage("one", epoch=1000)
    first = site.build("one", "--version", "2026-01-01").summary()["published"][0]
    assert first["version"] == "2026-01-01"
    assert site.build("one", "--version", "2026-01-02").summary()["unchanged"] == {"one": "2026-01-01"}
    site.stage("one", hooks=[{"name": "h", "point": "after-seed", "commands": ["echo >/new"]}])
    second = site.build("one", "--version", "2026-01-01").summary()["published"][0]
    assert second["version"] == "2026-01-01-r1"
    assert (site.folder / "one-latest").readlink().parts[0] == "2026-01-01-r1"
    old = next((site.folder / "2026-01-01").glob("*.tar.zst"))
    assert site.run("verify", str(old)).status == 0


def test_shell_and_show(site: Site) -> None:
    site.stage(
        "one", environment={"A": "b c"}, hooks=[{"name": "h", "point": "after-seed", "commands": ["echo 1 >/h"]}]
    )
    assert site.run("shell", "one", "--", "true").status == 1, "not built yet"
    shown = site.run("show", "--json", "one").json()
    assert {node["node"]: node["fate"] for node in shown["nodes"]}["one:hook:h"] in ("later", "run")
    assert site.build("one").status == 0
    ran = site.run("shell", "one", "--", "/bin/sh", "-c", "cat /h; echo $A; echo >/gone")
    assert (ran.status, ran.out) == (0, "1\nb c\n")
    assert site.run("shell", "one", "--", "/bin/sh", "-c", "test ! -e /gone").status == 0


@pytest.mark.docker
@pytest.mark.xdist_group("docker")
def test_an_image_is_loaded_into_docker(site: Site, docker_host: str) -> None:
    import docker

    name = f"farm-stage-test:{os.getpid()}"
    site.stage("one", outputs=[{"format": "oci", "docker": name}], environment={"WORD": 'a "b"'})
    ran = site.build("one", "--load-docker", DOCKER_HOST=docker_host)
    assert ran.status == 0, ran.err
    client = docker.DockerClient(base_url=docker_host)
    try:
        out = client.containers.run(name, ["/bin/sh", "-c", "echo $WORD"], remove=True)
        assert out == b'a "b"\n'
    finally:
        client.images.remove(name, force=True)
        client.close()
