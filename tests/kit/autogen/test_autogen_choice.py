# SPDX-License-Identifier: GPL-3.0-or-later
"""Specifications, merging of defaults, choice of versions, requirements, engines: tables of what comes out."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farm.kit.atom import VERSION
from farm.kit.autogen.engines import engine_of
from farm.kit.autogen.merging import merged
from farm.kit.autogen.model import Atom, Transform
from farm.kit.autogen.pydeps import portage_version, pythons, required_atoms, specified_atoms, written_dependencies
from farm.kit.autogen.selection import choose, condition_of, sort_descending, transformed
from farm.kit.autogen.specfile import read_specification
from farm.kit.autogen.values import go_names, plain_text
from farm.spec.problem import FarmError, Place
from farm.spec.version import Version

CALM = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
"""Tests of properties may be slow where the machine is busy."""

DATA = Path(__file__).parents[2] / "data/kits/autogen-specs"


def atom(**keys: Any) -> Atom:
    return Atom("foo", Place("f", 1), category="dev-util", **keys)


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "spec.yml"
    file.write_text(text)
    return file


def codes(failure: pytest.ExceptionInfo[FarmError]) -> list[str]:
    return [problem.code for problem in failure.value.problems]


# Specifications


@pytest.mark.parametrize(("name", "definitions", "atoms"), [("virtual", 2, 10), ("macaroni", 3, 12)])
def test_real_specifications(name: str, definitions: int, atoms: int) -> None:
    spec = read_specification(DATA / f"{name}.yml")
    assert len(spec.definitions) == definitions
    assert sum(len(definition.atoms) for definition in spec.definitions) == atoms
    assert spec.warnings == ()


def test_defaults_of_a_real_specification() -> None:
    spec = read_specification(DATA / "macaroni.yml")
    catalog = next(a for d in spec.definitions for a in d.atoms if a.name == "whip-catalog")
    assert (catalog.category, catalog.template) == ("app-admin", "templates/simple.tmpl")
    assert (catalog.github.user, catalog.github.query) == ("macaroni-os", "tags")
    assert catalog.vars["license"] == "GPL-3" and "post_src_unpack" in catalog.vars["body"]
    anise = next(a for d in spec.definitions for a in d.atoms if a.name == "anise")
    assert anise.github.repo == "luet" and anise.transforms == (Transform("string", "-geaaru", ""),)
    assert anise.vars["ldflags_ns"] == "pkg/config", "the package's own, not the default's"


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = """\
a:
  generator: builtin-githup
  packages:
  - foo:
      category: "../etc"
      revision: many
b:
  generator: builtin-noop
  defaults: {categroy: x}
  packages:
  - foo: {exclude: ["(?=x)"], extensions: [nope]}
  - "f/o": {category: a}
c:
  packages: [{x: {category: a}}]
d: {generator: custom, packages: [{x: {category: a}}]}
"""
    with pytest.raises(FarmError) as failure:
        read_specification(written(tmp_path, text))
    assert codes(failure) == ["unknown-generator", "bad-category", "wrong-type"]
    assert [problem.place.line for problem in failure.value.problems if problem.place] == [2, 5, 6]
    with pytest.raises(FarmError) as failure:
        read_specification(written(tmp_path, text[text.index("b:") :]))
    wrong = ["unknown-key", "no-category", "bad-regex", "unknown-extension", "bad-name", "no-generator", "no-script"]
    assert codes(failure) == wrong
    assert "'category'" in failure.value.problems[0].hint and failure.value.problems[0].severity == "warning"


@pytest.mark.parametrize(
    "text", ["- a", "a: [1]", "a: {packages: {x: 1}}", "x: &a {y: *a}", "a: {packages: [1]}", "\t"]
)
def test_what_is_no_specification(tmp_path: Path, text: str) -> None:
    with pytest.raises(FarmError):
        read_specification(written(tmp_path, text))


def test_a_later_tool_is_warned_of(tmp_path: Path) -> None:
    text = "a: {generator: builtin-noop, markdevkit_min_version: 0.99.0, packages: []}\n"
    assert [problem.code for problem in read_specification(written(tmp_path, text)).warnings] == ["newer-specification"]


_KEYS = ["generator", "defaults", "packages", "github", "vars", "versions", "assets", "transform", "kind", "match", "a"]
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=15,
)


@given(data=st.dictionaries(st.text(min_size=1, max_size=4), _VALUES, max_size=3))
@CALM
def test_any_document_is_read_or_refused(data: Any) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        file.write(yaml.safe_dump(data))
        file.flush()
        try:
            read_specification(Path(file.name))
        except FarmError as failure:
            assert failure.problems


def test_merging() -> None:
    defaults = {"github": {"user": "a", "query": "tags"}, "vars": {"x": 1, "y": [1]}, "extensions": ["one"],
                "selector": ["<3"], "json": {"params": {"p": "1"}}, "template": "t"}  # fmt: skip
    own = {"github": {"query": "", "repo": "r"}, "vars": {"y": [2], "z": ""}, "extensions": ["two", "one"],
           "selector": [">1"], "json": {"params": {"q": "2"}}, "template": "", "category": None}  # fmt: skip
    assert merged(defaults, own) == {
        "github": {"user": "a", "query": "tags", "repo": "r"},
        "vars": {"x": 1, "y": [2], "z": ""},
        "extensions": ["one", "two"],
        "selector": [">1"],
        "json": {"params": {"p": "1", "q": "2"}},
        "template": "t",
    }
    assert merged(defaults, {}) == defaults and defaults["extensions"] == ["one"]


# Versions


@pytest.mark.parametrize(
    ("versions", "keys", "version", "original"),
    [
        (["1.9", "1.10", "1.10_rc1", "9999xy"], {}, "1.10", "1.10"),
        (["1_p9", "1_p10"], {}, "1_p10", "1_p10"),
        (["241_rc1", "241"], {}, "241", "241"),
        (["1.0", "1.0.1", "junk", "", "vv2"], {}, "1.0.1", "1.0.1"),
        (["v1.0", "v1.2"], {}, "1.2", "v1.2"),
        (["2.0", "2.1", "3.0"], {"selector": (">=2", "<3")}, "2.1", "2.1"),
        (["1.2.9", "1.20", "1.2"], {"selector": ("=1.2*",)}, "1.2.9", "1.2.9"),
        (["1.2", "1.3", "1.4"], {"selector": ("!1.4", "!>1.3")}, "1.3", "1.3"),
        (["1.2", "1.3"], {"selector": ("!=1.3*",)}, "1.2", "1.2"),
        (["1.3.1", "1.2"], {"selector": ("~1.2",)}, "1.2", "1.2"),
        (["1.91", "1.8"], {"excludes": (r"\.9[0-9]$",)}, "1.8", "1.8"),
        (
            ["foo-1.2.tar.gz"],
            {"transforms": (Transform("regex", r"^foo-(?P<v>.*)\.tar\.gz$", "${v}"),)},
            "1.2",
            "foo-1.2.tar.gz",
        ),
        (["r1-2-3"], {"transforms": (Transform("string", "r", ""), Transform("string", "-", "."))}, "1.2.3", "r1-2-3"),
        (["{{x}}-1"], {"transforms": (Transform("string", "{{ .Values.a }}", ""),)}, "1", "{{x}}-1"),
        (["V1.0", "v1.0"], {"transforms": (Transform("regex", "(?i)^v", ""),)}, "1.0", "V1.0"),
    ],
)
def test_choice(versions: list[str], keys: dict[str, Any], version: str, original: str) -> None:
    chosen = choose(atom(**keys), versions, {"a": "{{x}}-"})
    assert (chosen.version, chosen.original) == (version, original)


@pytest.mark.parametrize(
    ("versions", "keys", "said"),
    [
        ([], {}, "no version"),
        (["latest"], {}, "latest"),
        (["1.0"], {"selector": (">2",)}, ">2"),
        (["1.0"], {"excludes": (".",)}, "excluded"),
    ],
)
def test_no_choice(versions: list[str], keys: dict[str, Any], said: str) -> None:
    with pytest.raises(FarmError) as failure:
        choose(atom(**keys), versions, {})
    assert codes(failure) == ["no-version"] and said in failure.value.problems[0].message


@pytest.mark.parametrize("text", ["", ">=", "1.*.2", ">=x", ">= 1 2", "==1"])
def test_bad_selectors(text: str) -> None:
    with pytest.raises(FarmError) as failure:
        condition_of(text)
    assert codes(failure) == ["bad-selector"]


@given(st.lists(st.from_regex(VERSION, fullmatch=True).filter(lambda text: len(text) < 100), max_size=8))
@CALM
def test_versions_are_sorted_in_pms_order(versions: list[str]) -> None:
    found = sort_descending(transformed(atom(), versions, {}))
    assert {one.version for one in found} == set(versions)
    orders = [Version.parse(one.version) for one in found]
    assert orders == sorted(orders, reverse=True)


def test_an_expression_that_others_take_for_ever_for() -> None:
    kept = transformed(atom(transforms=(Transform("regex", "(a+)+$", "x"),)), ["a" * 50 + "!"], {})
    assert kept[0].version == "a" * 50 + "!"


# Requirements


@pytest.mark.parametrize(
    ("requirement", "atoms"),
    [
        ("distlib<1,>=0.3.7", [">=distlib-0.3.7", "<distlib-1"]),
        ("a (>=1.0)", [">=a-1.0"]),
        ("Foo_Bar.baz", ["foo-bar-baz"]),
        ("a~=2.2", [">=a-2.2", "=a-2*"]),
        ("a~=1.4.5", [">=a-1.4.5", "=a-1.4*"]),
        ("a==1.2.*", ["=a-1.2*"]),
        ("a==1.2", ["~a-1.2"]),
        ("a!=1.5", ["a", "!~a-1.5"]),
        ("a!=1.5.*,>=1", [">=a-1", "!=a-1.5*"]),
        ("a>=2.0rc1", [">=a-2.0_rc1"]),
        ("a[extra]>1", [">a-1"]),
        ("a; python_version < '3.11'", []),
        ("a; python_version >= '3.13'", ["a"]),
        ("a; sys_platform == 'win32'", []),
        ("a; platform_system == 'Linux' and extra != 'x'", ["a"]),
        ("a; extra == 'test'", []),
        ("a @ https://example.org/a.zip", ["a"]),
    ],
)
def test_requirements(requirement: str, atoms: list[str]) -> None:
    found = required_atoms([requirement], "python3_{11..13}")
    assert [one.replace("dev-python/", "").replace("[${PYTHON_USEDEP}]", "") for one in found] == atoms
    assert all("[${PYTHON_USEDEP}]" in one for one in found if not one.startswith("!"))


def test_ignored_and_bad_requirements() -> None:
    assert required_atoms(["a>1", "b"], "", ["^a"]) == ["dev-python/b[${PYTHON_USEDEP}]"]
    for bad in ("a b", "a>=x.y", ">=1"):
        with pytest.raises(FarmError) as failure:
            required_atoms([bad], "")
        assert codes(failure) == ["bad-requirement"]


@pytest.mark.parametrize(
    ("compat", "found"),
    [
        ("python3_{10..12}", ("3.10", "3.11", "3.12")),
        ("python3_{9, 11} pypy3", ("3.9", "3.11")),
        ("python3.11", ("3.11",)),
        ("python3_13", ("3.13",)),
        ("python3_{1..99999999}", tuple(f"3.{minor}" for minor in range(1, 52))),
    ],
)
def test_pythons(compat: str, found: tuple[str, ...]) -> None:
    assert pythons(compat) == found


def test_any_python() -> None:
    assert "3.11" in pythons("python3+") and pythons("") == pythons("python3+")


@pytest.mark.parametrize(
    ("text", "version"),
    [("1.0", "1.0"), ("2.0a1", "2.0_alpha1"), ("1.0b2.post3", "1.0_beta2_p3"), ("1.0.dev4", "1.0_alpha_pre4"),
     ("1!2.0", "2.0"), ("1.0+local", "1.0"), ("1.0.post1.dev2", "1.0_p1_pre2"), ("2024.01.05", "2024.01.05")],
)  # fmt: skip
def test_pep_440_as_pms(text: str, version: str) -> None:
    assert portage_version(text) == version
    assert VERSION.fullmatch(version)


_PEP = st.from_regex(
    r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}((a|b|rc)[0-9]{1,2})?(\.post[0-9]{1,2})?(\.dev[0-9]{1,2})?", fullmatch=True
)


@given(_PEP, _PEP)
@CALM
def test_pms_has_pep_440s_order(one: str, other: str) -> None:
    from packaging.version import Version as Pep

    ours, theirs = Version.parse(portage_version(one)), Version.parse(portage_version(other))
    leading = any(part.startswith("0") and part != "0" for text in (one, other) for part in text.split(".")[1:])
    if not leading and Pep(one).release == Pep(other).release and one.count(".") == other.count("."):
        assert (ours < theirs) == (Pep(one) < Pep(other))


def test_pydeps() -> None:
    found = written_dependencies(
        {"py:all": ["six", "Req >= 2"], "py:all:build": ["hatch"], "use:doc:both": ["sphinx<8,>=5"]}
    )
    assert found["py_bdepend"][0] == "dev-python/hatch[${PYTHON_USEDEP}]"
    assert found["py_rdepend"][:2] == ["dev-python/six[${PYTHON_USEDEP}]", ">=dev-python/Req-2[${PYTHON_USEDEP}]"]
    assert found["py_rdepend"][2:] == found["py_bdepend"][1:]
    assert found["py_rdepend"][2] == "doc? ( >=dev-python/sphinx-5[${PYTHON_USEDEP}] )"
    for bad in ({"py": ["a"]}, {"py:all:never": ["a"]}, {"py:all": ["a >= "]}, {"py:all": ["a; rm"]}):
        with pytest.raises(FarmError):
            written_dependencies(bad)
    assert specified_atoms("a", "") == ["dev-python/a[${PYTHON_USEDEP}]"]


# Texts


def test_texts_from_outside() -> None:
    assert plain_text('a `b` "c" $(d)\n\te\\f\x00g') == "a b c (d) ef g"
    assert go_names({"html_url": 1, "assets": [{"browser_download_url": 2}]})["Assets"][0]["BrowserDownloadURL"] == 2


@pytest.mark.parametrize(
    ("engine", "text", "out"),
    [
        ("helm", '{{ .Values.a.Name | upper }}{{ define "x" }}[{{ . }}]{{ end }}{{ include "x" 3 }}', "NAME[3]"),
        ("j2cli", "{% for x in xs if x > 1 %}{{ x }},{% endfor %}\n", "2,3,\n"),
        ("j2cli", "{% set n = namespace(v=0) %}{% for x in xs %}{% set n.v = n.v + x %}{% endfor %}{{ n.v }}", "6"),
        ("pongo2", '{% autoescape off %}{{ empty|default:"d|x:y" }}{{ xs|join:"-" }}{% endautoescape %}', "d|x:y1-2-3"),
        (
            "pongo2",
            "{% for x in xs %}{{ forloop.Counter }}{% if forloop.Last %}.{% endif %}{% empty %}e{% endfor %}",
            "123.",
        ),
        ("pongo2", "{% for x in empty %}x{% empty %}e{% endfor %}", "e"),
        (
            "pongo2",
            '{% if xs && !empty %}y{% endif %}{% ifequal 1 1 %}="{{ sha|slice:"0:3" }}"{% endifequal %}',
            'y="abc"',
        ),
        ("pongo2", "{% comment %}{{ broken{% endcomment %}{# x #}{{ a.Name }}", "name"),
        ("pongo2", "{% for x in xs reversed %}{{ x }}{% endfor %}", "321"),
    ],
)
def test_engines(engine: str, text: str, out: str) -> None:
    values = {"a": {"Name": "name"}, "xs": [1, 2, 3], "empty": [], "sha": "abcdef"}
    assert engine_of(engine)(text, values, Path("/t"), ()) == out


@pytest.mark.parametrize(
    ("engine", "text", "code", "line"),
    [
        ("j2cli", "\n{{ nope }}", "template-execution", 2),
        ("j2cli", "\n{% if %}", "template-syntax", 2),
        ("j2cli", "{{ ().__class__.__bases__ }}", "template-execution", 1),
        ("j2cli", "{% include '/etc/passwd' %}", "template-execution", 1),
        ("j2cli", "\n{{ 1 / 0 }}", "template-execution", 2),
        ("helm", "\n{{ nope }}", "template-unknown-function", 2),
        ("helm", '{{ fail "because" }}', "template-execution", 1),
        ("pongo2", "{{ x|nope:1 }}", "template-syntax", 1),
    ],
)
def test_engines_that_go_wrong(engine: str, text: str, code: str, line: int) -> None:
    with pytest.raises(FarmError) as failure:
        engine_of(engine)(text, {}, Path("/nowhere/t"), ())
    assert codes(failure) == [code]
    assert failure.value.problems[0].place and failure.value.problems[0].place.line == line


def test_options_of_j2cli() -> None:
    assert engine_of("j2cli")("[{{ nope }}]", {}, Path("/t"), ["--undefined"]) == "[]"
    with pytest.raises(FarmError) as failure:
        engine_of("j2cli")("", {}, Path("/t"), ["--filters", "evil.py"])
    assert codes(failure) == ["engine-option"]
