# SPDX-License-Identifier: GPL-3.0-or-later
"""What real kits have beside plain ebuilds: odd versions and names, chains of eclasses, renamed and mirrored distfiles,
fetch restrictions, binary files, links, live ebuilds, masks. Portage reads all of it in its sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_server import git
from kit_command import World, merge_spec
from kit_tree import Tree, digests, files_of, read

EBUILD = """\
# Copyright
EAPI=8
{inherit}
DESCRIPTION="{description}"
HOMEPAGE="https://example.org"
SRC_URI="{uris}"
LICENSE="MIT"
SLOT="{slot}"
KEYWORDS="{keywords}"
{more}
"""
VERSIONS = ("1.0_pre3", "1.0_rc1", "1.0", "1.0_p9", "1.0_p20240101", "1.0b", "1.0b-r2", "1.0b-r10")
BINARY = bytes(range(256)) * 8


def put(tree: Tree, catpkg: str, version: str, *distfiles: str, **keys: str) -> None:
    """Adds an ebuild, and the Manifest lines of its distfiles."""
    given = {"inherit": "", "description": "Odd", "uris": "", "slot": "0", "keywords": "*", "more": "", **keys}
    path = f"{catpkg}/{catpkg.split('/')[1]}-{version}.ebuild"
    tree.files[path] = EBUILD.format(**given).encode("latin-1")
    lines = tree.lines.setdefault(catpkg, set())
    lines |= {digests(name) for name in distfiles}
    if lines:
        tree.files[f"{catpkg}/Manifest"] = "".join(f"{line}\n" for line in sorted(lines)).encode()


def fill(tree: Tree) -> None:
    """A kit with one of each."""
    for version in VERSIONS:
        put(tree, "dev-libs/odd", version)
    put(tree, "dev-libs/odd", "9999", keywords="")
    uris = ('mirror://cran/${PN}/${P}.tar.gz -> ${P}-src.tar.gz doc? ( https://example.org/manual-${PV%_p*}.pdf )\n'
            '\\tfetch+https://example.org/f.zip !doc? ( extra.bin )')  # fmt: skip
    put(tree, "x11-libs/gtk+", "3.24.1_p2", "gtk+-3.24.1_p2-src.tar.gz", "manual-3.24.1.pdf", "f.zip", "extra.bin",
        uris=uris.replace("\\t", "\t"), slot="3/24", more='IUSE="doc"\nRESTRICT="fetch mirror"')  # fmt: skip
    put(tree, "dev-cpp/libsigc++", "2.12", inherit="inherit alpha", description="Caf\xe9")
    tree.files |= {
        "eclass/alpha.eclass": b'inherit beta\nIUSE="${IUSE} alpha"\nEXPORT_FUNCTIONS src_compile\n'
        b"alpha_src_compile() { :; }\n",
        "eclass/beta.eclass": b'# uses\ninherit gamma\nRDEPEND="dev-libs/odd"\n',
        "eclass/gamma.eclass": b'[[ -n ${_GAMMA} ]] || { _GAMMA=1; BDEPEND="x11-libs/gtk+:3"; }\n',
        "dev-libs/odd/metadata.xml": b'<?xml version="1.0"?>\n<pkgmetadata/>\n',
        "dev-libs/odd/files/splash.bin": BINARY,
        "dev-libs/odd/files/deep/er/fix.patch": b"--- a\n+++ b\n",
        "dev-libs/odd/files/run.sh": b"#!/bin/sh\n",
        "dev-libs/odd/files/latest": b"deep/er/fix.patch",
        "profiles/package.mask": b"# broken\n=dev-libs/odd-1.0b-r10\n",
    }
    tree.modes = {"dev-libs/odd/files/run.sh": "100755", "dev-libs/odd/files/latest": "120000"}


@pytest.fixture
def spec(world: World) -> Path:
    """A source with one of each, and an empty target."""
    tree = Tree()
    fill(tree)
    tree.commit(world.create("core-kit"), "testing")
    world.create("app-kit")
    more = "  eclasses: {include: {core-kit: ['.*']}}\n"
    return world.spec("app.yml", merge_spec("dev-libs/odd", '{pkg: "x11-libs/gtk+:3"}', "dev-cpp/libsigc++", more=more))


def test_merged_whole_and_once(world: World, spec: Path) -> None:
    ran, report = world.kit_run("merge", spec, "--push")
    assert (ran.status, report["problems"]) == (0, []), ran.err
    kit, head = world.kit("app-kit"), "mark-xl"
    assert {path for path in files_of(kit, head) if path.endswith(".ebuild")} == {
        "dev-libs/odd/odd-1.0b-r10.ebuild", "x11-libs/gtk+/gtk+-3.24.1_p2.ebuild",
        "dev-cpp/libsigc++/libsigc++-2.12.ebuild",
    }  # fmt: skip
    names = [line.split()[1] for line in read(kit, head, "x11-libs/gtk+/Manifest").splitlines() if line]
    assert names == ["extra.bin", "f.zip", "gtk+-3.24.1_p2-src.tar.gz", "manual-3.24.1.pdf"]
    listed = git(kit, "ls-tree", "-r", head, "dev-libs/odd/files")
    modes = {line.rsplit("/", 1)[1]: line.split()[0] for line in listed.splitlines()}
    assert modes == {"fix.patch": "100644", "latest": "120000", "run.sh": "100755", "splash.bin": "100644"}
    source = world.kit("core-kit")
    assert git(kit, "rev-parse", f"{head}:dev-libs/odd/files") == git(source, "rev-parse", "testing:dev-libs/odd/files")
    assert world.kit_run("merge", spec, "--push")[1]["changed"] is False


def test_clean_counts_by_pms_and_leaves_what_is_live_or_masked(world: World, spec: Path) -> None:
    tree = Tree()
    fill(tree)
    tree.commit(world.kit("app-kit"), "mark-xl")
    text = spec.read_text().replace("pkg: dev-libs/odd", "{pkg: dev-libs/odd, max_versions: 3}")
    spec.write_text(text)
    ran, _ = world.kit_run("clean", spec, "--push", "--skip-masked")
    assert ran.status == 0, ran.err
    left = [p for p in files_of(world.kit("app-kit"), "mark-xl") if p.startswith("dev-libs/odd/odd-")]
    kept = ("1.0_p20240101", "1.0b-r10", "1.0b-r2", "1.0b", "9999")
    assert left == sorted(f"dev-libs/odd/odd-{version}.ebuild" for version in kept)
    assert "dev-libs/odd/files/splash.bin" in files_of(world.kit("app-kit"), "mark-xl")
    assert world.kit_run("clean", spec, "--push", "--skip-masked")[1]["changed"] is False


def test_what_the_cache_says(world: World, spec: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "-b", "testing", str(world.kit("core-kit")), str(clone))
    assert world.call("kit", "cache", clone, "--store", tmp_path / "store").status == 0
    entry = (clone / "metadata/md5-cache/dev-cpp/libsigc++-2.12").read_text(errors="replace")
    assert "IUSE=alpha\n" in entry and "RDEPEND=dev-libs/odd\n" in entry and "BDEPEND=x11-libs/gtk+:3\n" in entry
    assert [line.split("\t")[::2] for line in entry.splitlines() if line.startswith("_eclasses_")] == [
        ["_eclasses_=alpha", "beta", "gamma"]
    ]
    assert "RESTRICT=fetch mirror" in (clone / "metadata/md5-cache/x11-libs/gtk+-3.24.1_p2").read_text()
