# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, PMS order (against portage's own), conditions, Manifests, and the real specifications."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from portage.versions import vercmp

from farm.kit.atom import Cpv, ebuild_of, parse_cpv, parse_wanted
from farm.kit.condition import admitted, check_condition
from farm.kit.manifest import parse_manifest, salvage
from farm.kit.masks import is_masked
from farm.kit.specfile import read_kit_spec
from farm.spec.problem import FarmError

DATA = Path(__file__).parent.parent / "data/kits"
VERSIONS = """
0.1 1 1.0 1.0.0 1.00 1.01 1.1 1.1a 1.1b 1.10 1.10_rc1 1.10_rc2 1.10_rc10 1.10_rc 1.10_pre 1.10_pre9 1.10_alpha1
1.10_beta 1.10_p 1.10_p1 1.10_p9 1.10_p10 1.10_p10-r1 1.10-r1 1.10-r2 1.10-r10 1.10_rc1_p2 241 241_rc1 10b 10 2.8.0
2.8.0_pre20200101 1.2.3.4.5.6.7.8 001 1.001 9999 20240101
""".split()  # noqa: SIM905

_NUMBERS = st.lists(st.from_regex(r"[0-9]{1,3}", fullmatch=True), min_size=1, max_size=4).map(".".join)
_SUFFIX = st.from_regex(r"_(alpha|beta|pre|rc|p)[0-9]{0,2}", fullmatch=True)
_VERSION = st.builds(
    lambda n, letter, suffixes, r: n + letter + "".join(suffixes) + r,
    _NUMBERS,
    st.sampled_from(["", "", "a", "b"]),
    st.lists(_SUFFIX, max_size=2),
    st.sampled_from(["", "", "-r0", "-r1", "-r10"]),
)


def sign(number: float) -> int:
    """-1, 0 or 1."""
    return (number > 0) - (number < 0)


def order(one: str, other: str) -> int:
    """How the farm orders two versions."""
    a, b = Cpv("c", "p", one).order, Cpv("c", "p", other).order
    return (a > b) - (a < b)


def test_order_of_listed_versions() -> None:
    wrong = [(a, b) for a, b in itertools.product(VERSIONS, repeat=2) if order(a, b) != sign(vercmp(a, b) or 0)]
    assert wrong == []


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_VERSION, _VERSION)
def test_order_is_portages(one: str, other: str) -> None:
    assert order(one, other) == sign(vercmp(one, other) or 0)


def test_names() -> None:
    cpv = parse_cpv("dev-libs/foo-bar-2_x-1.0_p1-r3")
    assert (cpv.name, cpv.version, cpv.revision) == ("foo-bar-2_x", "1.0_p1-r3", 3)
    assert ebuild_of("dev-libs/foo/foo-1.ebuild") == Cpv("dev-libs", "foo", "1")
    for path in (
        "dev-libs/foo/bar-1.ebuild",
        "foo-1.ebuild",
        "a/foo/foo-1.ebuild.bak",
        "a/../a-1.ebuild",
        "a/b/b-.ebuild",
    ):
        assert ebuild_of(path) is None
    assert str(parse_wanted("dev-libs/foo:2.0")) == "dev-libs/foo:2.0"
    for text in ("foo", "dev-libs/foo-1.0", "a/b:", "a/b/c", "../b", "a/b::gentoo"):
        with pytest.raises(FarmError):
            parse_wanted(text)


@pytest.mark.parametrize(
    ("condition", "version", "slot", "holds"),
    [
        ("<dev-libs/x-3", "2.9", "0", True),
        ("<dev-libs/x-3", "3_rc1", "0", True),
        ("<dev-libs/x-3", "3", "0", False),
        ("=dev-libs/x-7.3*", "7.3.9", "0", True),
        ("=dev-libs/x-7.3*", "7.30", "0", False),
        ("~dev-libs/x-1", "1-r5", "0", True),
        ("!<dev-libs/x-3", "2", "0", False),
        ("!<dev-libs/x-3", "3", "0", True),
        ("dev-libs/x:2", "3", "2", True),
        ("dev-libs/x:2", "3", "3", False),
        (">=dev-libs/x-1[ssl,-foo]", "1", "0", True),
    ],
)
def test_conditions(condition: str, version: str, slot: str, holds: bool) -> None:
    check_condition(condition, "dev-libs/x")
    assert admitted(Cpv("dev-libs", "x", version), slot, [condition]) is holds


def test_bad_conditions() -> None:
    for condition in ("<dev-libs/x", "dev-libs", ">=dev-libs/y-1", "", "*/*"):
        with pytest.raises(FarmError) as caught:
            check_condition(condition, "dev-libs/x")
        assert caught.value.code == "bad-condition"
    assert admitted(Cpv("dev-libs", "x", "1"), "3", ["dev-libs/x:2"], ignore_slot=True)
    assert not is_masked(Cpv("dev-libs", "x", "1"), "0", ["<<dev-libs/x", "dev-libs/xyz"])


def test_manifests() -> None:
    good = f"DIST a.tar 3 BLAKE2B {'0' * 128} SHA512 {'1' * 128}\n"
    assert parse_manifest(good.encode() * 2, "Manifest").to_bytes().decode() == good
    assert parse_manifest(b"EBUILD a-1.ebuild 3 SHA512 00\n", "Manifest").to_bytes() == b""
    for bad in (
        good[:-2],
        good.replace("3", "x"),
        "DIST a.tar\n",
        good.replace("a.tar", "../a"),
        good.rsplit(" ", 1)[0],
    ):
        with pytest.raises(FarmError) as caught:
            parse_manifest((good + bad).encode(), "Manifest")
        assert (caught.value.code, caught.value.problems[0].place.line) == ("bad-manifest", 2)
        assert salvage(bad.encode() + b"\n" + good.encode()).to_bytes().decode() == good


@pytest.mark.parametrize("file", sorted((DATA / "merge-specs").glob("*.yml")), ids=lambda file: file.name)
def test_real_specifications(file: Path, tmp_path: Path) -> None:
    shutil.copy(file, tmp_path / file.name)
    spec = read_kit_spec(tmp_path / file.name)
    assert spec.problems == () and spec.target and spec.target.rules and spec.target.default_max_versions == 3
    assert [fixup.to for fixup in spec.target.fixups] == ["LICENSE", ".github/FUNDING.yml"]


def test_duplicate_packages_and_unknown_keys(tmp_path: Path) -> None:
    file = tmp_path / "spec.yml"
    file.write_text("""\
target:
  name: a-kit
  url: https://example.org/b-kit
  branch: 1.10
  atoms:
  - {pkg: a/b, conditions: ['<a/b-2']}
  - {pkg: a/b, max_version: 3}
  - {pkg: a/b}
""")
    spec = read_kit_spec(file)
    assert spec.target and (spec.target.branch, len(spec.target.rules)) == ("1.10", 2)
    assert sorted(p.code for p in spec.problems) == ["duplicate-atom", "kit-name-mismatch", "unknown-key"]


def test_a_target_without_a_url_is_its_source(tmp_path: Path) -> None:
    file = tmp_path / "spec.yml"
    text = "sources:\n- {name: a-kit, url: 'https://example.org/a-kit'}\ntarget: {name: a-kit, branch: x}\n"
    file.write_text(text)
    spec = read_kit_spec(file)
    assert spec.target and spec.target.url == "https://example.org/a-kit"
    file.write_text(text.replace("name: a-kit, branch", "name: b-kit, branch"))
    with pytest.raises(FarmError) as caught:
        read_kit_spec(file)
    assert caught.value.code == "no-url"
