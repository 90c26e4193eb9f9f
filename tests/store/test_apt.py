# SPDX-License-Identifier: GPL-3.0-or-later
"""Both formats of apt's sources, and which of their entries are the distribution's own."""

from __future__ import annotations

from pathlib import Path

from farm.store.apt import (
    Archive,
    Distribution,
    distribution_archives,
    for_suite,
    host_distribution,
    parse_list,
    parse_sources,
)

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
HOST = Distribution("debian", "bookworm")
OWN = Archive(("http://mirror.example/debian",), ("bookworm", "bookworm-updates"), ("main",), KEYS)
SECURITY = Archive(("http://mirror.example/debian-security",), ("bookworm-security",), ("main",), KEYS)
FOREIGN = Archive(("http://other.example/apt",), ("bookworm",), ("main",), "/etc/apt/keyrings/other.gpg")


def test_one_line_format() -> None:
    text = """# comment
deb http://mirror.example/debian bookworm main contrib  # more
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://other.example/apt stable main
"""
    assert list(parse_list(text)) == [
        Archive(("http://mirror.example/debian",), ("bookworm",), ("main", "contrib")),
        Archive(("http://other.example/apt",), ("stable",), ("main",), "/k.gpg"),
    ]


def test_deb822_format() -> None:
    text = f"""# the main archive
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm
 bookworm-updates
Components: main
Signed-By: {KEYS}

Types: deb
Enabled: no
URIs: http://off.example/
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example/
Suites: bookworm
Components: main
"""
    assert list(parse_sources(text)) == [OWN]


def test_key_in_the_stanza_survives() -> None:
    text = "Types: deb\nURIs: http://a.example\nSuites: s\nComponents: main\nSigned-By:\n -----BEGIN\n .\n abc\n"
    (archive,) = parse_sources(text)
    assert list(parse_sources(archive.stanza())) == [archive]
    assert archive.signed_by.splitlines()[1:] == [" .", " abc"]


def test_third_parties_are_left_out() -> None:
    assert distribution_archives([FOREIGN, OWN, SECURITY], HOST) == (OWN, SECURITY)


def test_a_mirror_with_its_own_key_when_there_is_no_other() -> None:
    assert distribution_archives([FOREIGN], HOST) == (FOREIGN,)


def test_another_suite() -> None:
    found = for_suite([OWN, SECURITY], HOST, "trixie", ("main", "contrib"))
    assert [entry.suites for entry in found] == [("trixie", "trixie-updates"), ("trixie-security",)]
    assert {entry.components for entry in found} == {("main", "contrib")}


def test_a_suite_without_updates() -> None:
    assert [entry.suites for entry in for_suite([OWN, SECURITY], HOST, "sid", ("main",))] == [("sid",)]


def test_os_release(tmp_path: Path) -> None:
    path = tmp_path / "os-release"
    path.write_text('NAME="Some Linux"\nID=some\nVERSION_CODENAME="old one"\n')
    assert host_distribution(path) == Distribution("some", "old one")
    assert host_distribution(tmp_path / "none") == Distribution("", "")
