# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata by portage itself, confined; and that nothing is found out twice."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest
from kit_tree import ebuild

from farm.kit.atom import Cpv, parse_cpv
from farm.kit.ebuilds import Kit, md5
from farm.kit.metadata.entry import parse_metadata
from farm.kit.metadata.reading import MetadataReader
from farm.kit.metadata.scan import scan
from farm.kit.tree import FILE, MemoryTree


def kit(files: dict[str, bytes], name: str = "app-kit") -> Kit:
    """A kit in memory."""
    return Kit(name, MemoryTree({path: (FILE, content) for path, content in files.items()}))


ALPHA = b"alpha_src_compile() { :; }\nEXPORT_FUNCTIONS src_compile\nIUSE=al\n"


def test_what_portage_finds_out_and_the_cache(tmp_path: Path) -> None:
    mine = {
        "dev-libs/one/one-1.0-r3.ebuild": ebuild("one", slot="2/5", eclass="alpha", more='S="${PR} ${PVR}"\n')
        + b'SRC_URI+=" doc? ( mirror://x/y-${PVR}.zip -> z.zip ) https://a/${PF}.tar"\n',
        "dev-libs/one/one-2.ebuild": b"EAPI=7\ndie 'no good'\n",
    }
    core = kit({"eclass/alpha.eclass": ALPHA}, "core-kit")
    target = kit(mine)
    one, two = target.packages["dev-libs/one"]
    with MetadataReader(tmp_path / "m.db", [core]) as reader:
        done = reader.read(target, [one, two])
        assert reader.scanned == 2
        entry = done.found[one]
        assert (entry.slot, entry.keywords, entry.md5) == ("2", "*", md5(mine[one.path]))
        assert entry.eclasses == {"alpha": md5(ALPHA)}
        assert entry.distfiles == {
            "one-1.0.tar.gz": ("https://example.org/one-1.0.tar.gz",),
            "z.zip": ("mirror://x/y-1.0-r3.zip",),
            "one-1.0-r3.tar": ("https://a/one-1.0-r3.tar",),
        }
        assert parse_metadata(entry.to_text()) == entry
        assert "no good" in done.failed[two]
    with MetadataReader(tmp_path / "m.db", [core]) as reader:
        assert reader.read(kit(mine), [one]).found[one] == entry and reader.scanned == 0
    other = kit({"eclass/alpha.eclass": b"IUSE=other\n"}, "core-kit")
    with MetadataReader(tmp_path / "m.db", [other]) as reader:
        assert reader.read(kit(mine), [one]).found[one].keys["IUSE"] == "other" and reader.scanned == 1
    with MetadataReader(tmp_path / "m.db", [core]) as reader:
        assert reader.read(kit(mine), [one]).found[one] == entry and reader.scanned == 0


def test_a_shipped_cache_counts_only_when_it_is_true(tmp_path: Path) -> None:
    content = ebuild("one")
    text = f"EAPI=7\nKEYWORDS=shipped\nSLOT=0\n_md5_={md5(content)}\n".encode()
    one = parse_cpv("dev-libs/one-1")
    files = {one.path: content, "metadata/md5-cache/dev-libs/one-1": text}
    with MetadataReader(tmp_path / "a.db") as reader:
        assert reader.read(kit(files), [one]).found[one].keywords == "shipped" and reader.scanned == 0
    for wrong in (text.replace(b"_md5_=", b"_md5_=0"), text[:-20], b"_eclasses_=gone\t" + b"0" * 32 + b"\n" + text):
        with MetadataReader(tmp_path / f"{md5(wrong)}.db") as reader:
            found = reader.read(kit({**files, "metadata/md5-cache/dev-libs/one-1": wrong}), [one]).found
            assert found[one].keywords == "*" and reader.scanned == 1


def test_what_another_kit_ships_counts_for_the_same_ebuild(tmp_path: Path) -> None:
    content = ebuild("one")
    text = f"EAPI=7\nKEYWORDS=shipped\nSLOT=0\n_md5_={md5(content)}\n".encode()
    one = parse_cpv("dev-libs/one-1")
    source = kit({one.path: content, "metadata/md5-cache/dev-libs/one-1": text}, "core-kit")
    with MetadataReader(tmp_path / "a.db", [source]) as reader:
        assert reader.read(kit({one.path: content}), [one]).found[one].keywords == "shipped" and reader.scanned == 0
        changed = content + b"# changed\n"
        assert reader.read(kit({one.path: changed}), [one]).found[one].keywords == "*" and reader.scanned == 1


def test_hostile_ebuilds_stay_inside(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        attacks = {
            "write": f'echo x > "{mark}" || true',
            "net": f"exec 9<>/dev/tcp/127.0.0.1/{port} && DESCRIPTION=reached",
            "home": f'DESCRIPTION="$(</etc/shadow)$(</root/.bashrc)$(<{Path(__file__)})"',
            "kill": f"kill -9 {os.getpid()} || true",
            "program": f"/usr/bin/touch {mark}",
            "usr": "echo x > /usr/farm-mark || true",
        }
        ebuilds = {}
        for name, attack in attacks.items():
            content = f"EAPI=7\nSLOT=0\nKEYWORDS='*'\nDESCRIPTION=none\n{{ {attack} ; }} 2>/dev/null\n"
            ebuilds[Cpv("dev-libs", name, "1")] = content.encode()
        done = scan(ebuilds, {})
        listener.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert not mark.exists() and not Path("/usr/farm-mark").exists()
    texts = {cpv.name: entry.keys.get("DESCRIPTION", "") for cpv, entry in done.found.items()}
    assert set(texts.values()) <= {"none", ""}, texts
    assert len(done.found) + len(done.failed) == len(attacks)


LOOP = b"EAPI=7\nwhile :; do :; done\n"
FORK = b"EAPI=7\nf() { f | f & }; f; wait\n"


@pytest.mark.parametrize("attack", [LOOP, pytest.param(FORK, marks=pytest.mark.slow)])
def test_endless_and_greedy_ebuilds_harm_no_other(attack: bytes) -> None:
    bad, good = Cpv("dev-libs", "bad", "1"), Cpv("dev-libs", "good", "1")
    done = scan({bad: attack, good: ebuild("good")}, {}, one=3, spare=15)
    assert done.found[good].keywords == "*" and list(done.failed) == [bad]
    assert threading.active_count() < 10
