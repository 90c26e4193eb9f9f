# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading trees: what becomes of good specs, and what is said of bad ones."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farm.spec.load import load
from farm.spec.model import PackageId, Requirement, Resources, Source, Tree
from farm.spec.problem import FarmError
from farm.spec.values import merge, read_value_files

REFERENCE = Path(__file__).parent.parent / "data" / "tree"


def write(folder: Path, **files: str) -> Path:
    """Files named by keyword (``build`` is build.yaml) in a folder made for them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def spec(folder: Path, name: str = "p", build: str | None = "", more: str = "", version: str = '"1"') -> Path:
    """A small spec of category ``c``."""
    write(folder, definition=f"name: {name}\ncategory: c\nversion: {version}\n{more}")
    return write(folder, build=build) if build is not None else folder


def codes(tree: Tree, severity: str = "error") -> list[str]:
    return [p.code for p in tree.problems if p.severity == severity]


def only(tree: Tree) -> PackageId:
    (found,) = tree.packages
    return found


def test_the_reference_tree_loads_unchanged() -> None:
    tree = load([REFERENCE / "packages"], [REFERENCE / "values" / "amd64.yaml"])
    assert tree.problems == ()
    assert len(tree.packages) == 10
    greet = tree.packages[PackageId("lib", "greet", "1.0")]
    assert greet.build is not None
    assert greet.build.env == ('CFLAGS="-O2 -g0"', "JOBS=3")
    assert 'echo "greet 1.0 amd64" > /usr/share/doc/greet/README' in greet.build.steps
    assert greet.build_requires == (Requirement("seed", "debian", ">=0"),)
    assert [f.path for f in greet.files] == ["build.yaml", "definition.yaml", "greet.c", "greet.h"]
    assert tree.packages[PackageId("virtual", "base", "1.0")].virtual
    multi = tree.packages[PackageId("app", "multi", "1.0")]
    assert multi.build is not None
    assert [c.package and c.package.atom for c in multi.build.copy] == ["app/greeter", None]
    editor = tree.packages[PackageId("app", "editor-a", "1.0")]
    assert editor.finalizer is not None
    assert "finalize install editor-a 1.0" in editor.finalizer["install"][0]
    small = tree.packages[PackageId("meta", "small", "1.0")]
    assert (small.entry, small.place.line) == (0, 2)


def test_new_keys(tmp_path: Path) -> None:
    digest = "AB" * 32
    build = f"""
sources:
- {{url: "https://example.invalid/a/musl-1.tar.gz?x=1", sha256: {digest}, mirrors: ["apt:pool/m.tgz"], unpack: musl/}}
- {{url: "file:///srv/b.patch", sha256: {"1" * 64}}}
- {{url: "https://example.invalid/c.zip", sha256: "{"2" * 64}", unpack: {{strip: 1}}, rename: d.zip}}
- {{url: "https://example.invalid/d.zip", sha256: "{"2" * 64}", unpack: true}}
network: yes
resources: {{cores: 2, memory: 1.5G, disk: 512, timeout: 1h30m, silent-timeout: 90, time: 40m}}
platforms: [linux/amd64]
"""
    tree = load([spec(tmp_path, build=build)])
    assert tree.problems == ()
    found = tree.packages[only(tree)].build
    assert found is not None
    assert found.sources[0] == Source(
        "https://example.invalid/a/musl-1.tar.gz?x=1", digest.lower(), ("apt:pool/m.tgz",), "musl", 0, "musl-1.tar.gz"
    )
    assert found.sources[1] == Source("file:///srv/b.patch", "1" * 64, (), None, 0, "b.patch")
    assert (found.sources[2].unpack, found.sources[2].strip, found.sources[2].rename) == (".", 1, "d.zip")
    assert found.sources[3].unpack == "."
    assert found.network is True
    assert found.resources == Resources(2, 3 << 29, 512, 5400.0, 90.0, 2400.0)
    assert found.platforms == ("linux/amd64",)


def test_unquoted_text_is_text(tmp_path: Path) -> None:
    more = "use_flags: [y, 1]\nlabels: {a: 1.10, b: true}\nrequires: [{name: q, category: c, version: 2}]\n"
    tree = load([spec(tmp_path, version="1.10", more=more, build="env: ['A={{ .Values.version }}']")])
    package = tree.packages[PackageId("c", "p", "1.10")]
    assert package.use_flags == ("y", "1")
    assert package.labels == {"a": "1.10", "b": "true"}
    assert package.requires == (Requirement("c", "q", "2"),)
    assert package.build is not None
    assert package.build.env == ("A=1.10",)
    assert codes(tree, "warning") == ["unquoted-version", "unquoted-version"]
    assert not codes(tree)


def test_values_of_templates_keep_their_types(tmp_path: Path) -> None:
    more = "jobs: 4\nfast: yes\nname2: '7'\n"
    build = "env: ['A={{ add .Values.jobs 1 }}{{ if eq .Values.fast true }}x{{ end }}{{ .Values.name2 }}']"
    tree = load([spec(tmp_path, more=more, build=build)])
    package = tree.packages[only(tree)]
    assert package.build is not None
    assert package.build.env == ("A=5x7",)


def test_value_files_win_and_later_ones_over_earlier(tmp_path: Path) -> None:
    spec(
        tmp_path / "t",
        more="a: own\nlabels: {x: own, y: own}\nflag: true\n",
        build="env: ['A={{ with .Values }}{{ .a }}-{{ .labels.x }}-{{ .labels.y }}-{{ .flag }}-{{ .name }}{{ end }}']",
    )
    write(tmp_path, v1="a: v1\nlabels: {x: v1}\nflag: true\nname: other", v2="a: v2\nflag: no\n")
    for order, expected in (
        (("v1", "v2"), "A=v2-v1-own-false-p"),
        (("v2", "v1"), "A=v1-v1-own-true-p"),
    ):
        tree = load([tmp_path / "t"], [tmp_path / f"{name}.yaml" for name in order])
        build = tree.packages[only(tree)].build
        assert build is not None
        assert build.env == (expected,)


def test_falsy_values_are_values() -> None:
    assert merge({"a": 1, "b": {"c": 1, "d": 2}}, {"a": 0, "b": {"c": False}, "e": ""}) == {
        "a": 0,
        "b": {"c": False, "d": 2},
        "e": "",
    }


def test_value_files_win_over_entries_of_a_collection(tmp_path: Path) -> None:
    collection = "packages:\n" + "".join(
        f"- name: {name}\n  category: c\n  version: '1'\n  payload: {name}1\n  other: own\n" for name in "ab"
    )
    write(tmp_path / "t", collection=collection, build="env: ['A={{ .Values.payload }}-{{ .Values.other }}']")
    write(tmp_path, v="other: file\nversion: '7'\n")
    tree = load([tmp_path / "t"], [tmp_path / "v.yaml"])
    builds = [package.build for package in tree.packages.values()]
    assert [b.env for b in builds if b] == [("A=a1-file",), ("A=b1-file",)]
    assert {i.version for i in tree.packages} == {"1"}


def test_shared_templates(tmp_path: Path) -> None:
    write(tmp_path / "templates" / "deep", t='{{ define "greet" }}hello-{{ .Values.name }}{{ end }}')
    (tmp_path / "templates" / "ignored.tmpl").write_text("{{ bad")
    spec(tmp_path / "a", build="env: ['A={{ template \"greet\" . }}']")
    tree = load([tmp_path])
    assert tree.problems == ()
    build = tree.packages[only(tree)].build
    assert build is not None
    assert build.env == ("A=hello-p",)


def test_the_first_of_two_trees_wins(tmp_path: Path) -> None:
    spec(tmp_path / "a" / "x", build="env: [T=a]")
    spec(tmp_path / "b" / "y", build="env: [T=b]")
    tree = load([tmp_path / "b", tmp_path / "a", tmp_path / "b"])
    build = tree.packages[only(tree)].build
    assert build is not None
    assert build.env == ("T=b",)
    (duplicate,) = tree.duplicates
    assert not duplicate.same_tree
    assert duplicate.place.file.endswith("/b/y/definition.yaml")


def test_a_tree_inside_another_is_read_once(tmp_path: Path) -> None:
    spec(tmp_path / "a" / "x")
    assert load([tmp_path, tmp_path / "a"]).duplicates == ()


def test_a_duplicate_in_one_tree_stops_nothing(tmp_path: Path) -> None:
    spec(tmp_path / "firmware")
    spec(tmp_path / "lxqt" / "firmware")
    tree = load([tmp_path])
    assert tree.problems == ()
    assert tree.duplicates[0].same_tree
    assert tree.packages[only(tree)].folder.endswith("/firmware")


@pytest.mark.parametrize(
    ("more", "build", "code", "file", "line", "column"),
    [
        ("a: 1\n\tb: 2\n", "", "bad-yaml", "definition", 5, 1),
        ("name: again\n", "", "duplicate-key", "definition", 4, 1),
        ("requires: {name: x}\n", "", "wrong-type", "definition", 4, 11),
        ("requires:\n- {name: x, category: y, version: '>>1'}\n", "", "bad-selector", "definition", 5, 35),
        ("annotations: {subsets: {rules: {d: ['(?=x)']}}}\n", "", "bad-regex", "definition", 4, 37),
        ("", "stepz:\n- make\n", "unknown-key", "build", 1, 1),
        ("", "{{- if true }}\nimage: scratch\n{{- end }}\nstepz: [a]\n", "unknown-key", "build", 4, 1),
        ("", "image: scratch\nsteps: make\n", "wrong-type", "build", 2, 8),
        ("", "image: scratch\nexcludes:\n- '['\n", "bad-regex", "build", 3, 3),
        ("", "requires:\n- {name: x, category: y, version: '1 or 2'}\n", "bad-selector", "build", 2, 35),
        ("", "steps: [make]\n", "no-base", "build", 1, 1),
        ("", "image: {{ .Values.a\n", "template-syntax", "build", 1, None),
        ("", "\n\nimage: {{ frobnicate 1 }}\n", "template-unknown-function", "build", 3, None),
        ("", 'a: {{ required "it" .Values.none }}\n', "template-execution", "build", 1, None),
        ("", "sources:\n- url: https://a.invalid/b\n", "source-without-sha256", "build", 2, 3),
        ("", f"sources:\n- url: https://a.invalid/\n  sha256: {'a' * 64}\n", "bad-path", "build", 2, 8),
        ("", f"sources:\n- {{url: file:///a, sha256: {'a' * 64}, unpack: ../x}}\n", "bad-path", "build", 2, None),
        ("", "copy:\n- {source: a, destination: b}\n", "bad-copy", "build", 2, 3),
        ("", "env: [novalue]\n", "bad-env", "build", 1, 7),
        ("", "env:\n- A=1\n- B=two words\n", "bad-env", "build", 3, 3),
        ("", "package_dir: /a/../b\n", "bad-path", "build", 1, 14),
        ("", "a: *x\n", "yaml-undefined-alias", "build", 1, 4),
    ],
)
def test_problems_have_a_code_and_a_place(
    tmp_path: Path, more: str, build: str, code: str, file: str, line: int, column: int | None
) -> None:
    spec(tmp_path / "bad", more=more, build=build)
    spec(tmp_path / "good", name="good")
    tree = load([tmp_path])
    errors = [p for p in tree.problems if p.severity == "error"]
    assert [p.code for p in errors] == [code]
    place = errors[0].place
    assert place is not None
    assert Path(place.file) == tmp_path / "bad" / f"{file}.yaml"
    assert place.line == line
    assert column is None or place.column == column
    assert tree.packages[PackageId("c", "good", "1")].build is not None
    bad = tree.packages.get(PackageId("c", "p", "1"))
    assert bad is None or (bad.build is None and errors[0].package == "c/p-1")


@pytest.mark.parametrize(
    ("definition", "code"),
    [
        ("", "wrong-type"),
        ("[]", "wrong-type"),
        ("name: a\ncategory: b\n", "missing-key"),
        ("name: ../a\ncategory: b\nversion: '1'\n", "bad-name"),
        ("name: a\ncategory: b/c\nversion: '1'\n", "bad-name"),
        ("name: a\ncategory: b\nversion: '1/2'\n", "bad-version"),
        ("name: a\ncategory: b\nversion: ''\n", "empty-value"),
        ("name: [a]\ncategory: b\nversion: '1'\n", "wrong-type"),
    ],
)
def test_without_an_identity_there_is_no_package(tmp_path: Path, definition: str, code: str) -> None:
    write(tmp_path, definition=definition, build="")
    tree = load([tmp_path])
    assert tree.packages == {}
    assert codes(tree) == [code]


def test_all_problems_at_once(tmp_path: Path) -> None:
    build = "image: scratch\nstepz: []\nsteps: x\nenv: [1, {a: b}]\n"
    tree = load([spec(tmp_path, build=build)])
    assert sorted(codes(tree)) == ["unknown-key", "wrong-type", "wrong-type"]


def test_one_bad_entry_of_a_collection_spoils_no_other(tmp_path: Path) -> None:
    text = """packages:
- {name: a, category: c, version: "1"}
- {name: b, category: c, version: "1", requires: x}
- name: d
  category: c
  version: "1"
  uri: []
  uri: []
- {category: c}
- {name: e, category: c, version: "1"}
"""
    write(tmp_path, collection=text, build="image: scratch")
    tree = load([tmp_path])
    assert {i.name: p.build is not None for i, p in tree.packages.items()} == {
        "a": True,
        "b": False,
        "d": False,
        "e": True,
    }
    assert [(p.code, p.package, p.place and p.place.line) for p in tree.problems] == [
        ("wrong-type", "c/b-1", 3),
        ("duplicate-key", "c/d-1", 8),
        ("missing-key", None, 9),
        ("missing-key", None, 9),
    ]


def test_free_keys_are_fine_unless_they_look_misspelt_and_are_not_used(tmp_path: Path) -> None:
    spec(tmp_path / "a", name="a", more="payload: 1\nrequire: []\n")
    spec(tmp_path / "b", name="b", more="require: []\n", build="env: ['A={{ .Values.require }}']")
    tree = load([tmp_path])
    assert [(p.code, p.severity, p.package) for p in tree.problems] == [("unknown-key", "warning", "c/a-1")]


def test_needless_keys_of_a_requirement_are_harmless(tmp_path: Path) -> None:
    more = "requires: [{name: b, category: c, slot7: '0', hidden: true}]\n"
    build = "requires: [{name: b, category: c, slot7: '0'}]\n"
    tree = load([spec(tmp_path, more=more, build=build)])
    assert (codes(tree), codes(tree, "warning")) == ([], ["unknown-key", "unknown-key"])
    package = tree.packages[only(tree)]
    assert package.build is not None
    assert package.requires == package.build.requires == (Requirement("c", "b"),)
    assert codes(load([spec(tmp_path, build=build.replace("slot7", "verson"))])) == ["unknown-key"]
    assert codes(load([spec(tmp_path, build="copy: [{image: a, source: /a, destination: /b, slot7: 1}]")])) == [
        "unknown-key"
    ]


def test_impure_templates_are_told(tmp_path: Path) -> None:
    tree = load([spec(tmp_path, build='env:\n- A={{ now | date "2006" }}\n')])
    (problem,) = tree.problems
    assert (problem.code, problem.severity, problem.place and problem.place.line) == ("impure-template", "warning", 2)


def test_finalizers_are_checked(tmp_path: Path) -> None:
    spec(tmp_path)
    write(tmp_path, finalize="instal:\n- echo {{ .Values.name }}\n")
    assert codes(load([tmp_path])) == ["unknown-key"]
    write(tmp_path, finalize="install: echo\n")
    assert codes(load([tmp_path])) == ["wrong-type"]


def test_build_yaml_is_optional_and_may_be_empty(tmp_path: Path) -> None:
    spec(tmp_path / "a", name="a", build=None)
    spec(tmp_path / "b", name="b", build="# nothing\n")
    tree = load([tmp_path])
    assert tree.problems == ()
    assert [(p.build is None, p.virtual) for p in tree.packages.values()] == [(True, False), (False, True)]


def test_missing_trees_and_values() -> None:
    with pytest.raises(FarmError) as caught:
        load([Path("/nonexistent/a"), Path("/nonexistent/b")])
    assert [p.code for p in caught.value.problems] == ["missing-tree"] * 2
    with pytest.raises(FarmError) as caught:
        read_value_files([Path("/nonexistent/a")])
    assert caught.value.code == "missing-values"


@pytest.mark.parametrize(
    ("text", "code"), [("- 1", "wrong-type"), ("a: [", "bad-yaml"), ("a: 1\na: 2", "duplicate-key")]
)
def test_bad_value_files(tmp_path: Path, text: str, code: str) -> None:
    write(tmp_path, v=text)
    with pytest.raises(FarmError) as caught:
        read_value_files([tmp_path / "v.yaml"])
    assert caught.value.code == code


# --- files ----------------------------------------------------------------------------------------------------


def test_files_of_a_folder(tmp_path: Path) -> None:
    spec(tmp_path / "a")
    for path in ("files/run.sh", ".git/config", "sub/definition.yaml.orig"):
        (tmp_path / "a" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / path).write_text("x")
    (tmp_path / "a" / "files" / "run.sh").chmod(0o4750)
    (tmp_path / "a" / "link").symlink_to("files/run.sh")
    (tmp_path / "a" / "loop").symlink_to("..")
    spec(tmp_path / "a" / "inner", name="inner")
    tree = load([tmp_path])
    files = {f.path: f for f in tree.packages[PackageId("c", "p", "1")].files}
    assert set(files) == {"build.yaml", "definition.yaml", "files/run.sh", "link", "loop", "sub/definition.yaml.orig"}
    assert files["files/run.sh"].mode == 0o4750
    assert files["link"].link == "files/run.sh"
    assert files["files/run.sh"].origin == str(tmp_path / "a/files/run.sh")
    assert files["build.yaml"].sha256 == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_what_is_no_file_is_left_out_and_never_opened(tmp_path: Path) -> None:
    folder = spec(tmp_path / "a")
    os.mkfifo(folder / "fifo")
    (folder / "zero").symlink_to("/dev/zero")
    os.mknod(folder / "s", stat.S_IFSOCK | 0o600)
    tree = load([tmp_path])
    assert codes(tree, "warning") == ["special-file", "special-file"]
    assert [f.path for f in tree.packages[only(tree)].files] == ["build.yaml", "definition.yaml", "zero"]


@pytest.mark.parametrize("name", ["definition", "build", "collection", "finalize"])
def test_a_spec_file_that_is_no_file(tmp_path: Path, name: str) -> None:
    folder = spec(tmp_path / "a")
    (folder / f"{name}.yaml").unlink(missing_ok=True)
    os.mkfifo(folder / f"{name}.yaml")
    assert "unreadable-file" in codes(load([tmp_path]))
    (folder / f"{name}.yaml").unlink()
    (folder / f"{name}.yaml").symlink_to("/dev/zero")
    assert "unreadable-file" in codes(load([tmp_path]))


def test_a_spec_file_may_be_a_link(tmp_path: Path) -> None:
    spec(tmp_path / "a", build="env: [A=1]")
    write(tmp_path / "b", definition="name: q\ncategory: c\nversion: '1'\n")
    (tmp_path / "b" / "build.yaml").symlink_to("../a/build.yaml")
    build = load([tmp_path]).packages[PackageId("c", "q", "1")].build
    assert build is not None
    assert build.env == ("A=1",)


def test_names_that_are_not_text(tmp_path: Path) -> None:
    folder = spec(tmp_path / "a")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).write_text("x")
    tree = load([tmp_path])
    assert codes(tree) == ["bad-file-name"]
    for problem in tree.problems:
        str(problem).encode()


def test_very_deep_folders(tmp_path: Path) -> None:
    spec(tmp_path / "a")
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(30):
            os.mkdir("d" * 200, dir_fd=here)
            inner = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
    finally:
        os.close(here)
    tree = load([tmp_path])
    assert len(tree.packages) == 1
    assert codes(tree) == ["unreadable-folder"]


@given(st.binary(max_size=60), st.binary(max_size=60), st.sampled_from(["definition", "collection"]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_loaded(tmp_path: Path, first: bytes, second: bytes, kind: str) -> None:
    folder = tmp_path / "x"
    folder.mkdir(exist_ok=True)
    for name, content in ((kind, first), ("build", second), ("finalize", second)):
        (folder / f"{name}.yaml").write_bytes(content)
    load([tmp_path])


_PIECES = st.lists(
    st.sampled_from(
        [
            "name: a\n",
            "category: b\n",
            "version: 1\n",
            "requires:\n",
            "- name: x\n",
            "  category: y\n",
            "{{ if .Values.a }}",
            "{{ end }}",
            "steps: [a]\n",
            "image: scratch\n",
            "packages:\n",
            "  - ",
            "sources:\n",
            "copy: ",
            "&a ",
            "*a",
            "{{ .Values.name }}",
            "\t",
            "[",
            "{",
            "~\n",
            "labels: {a: 1}\n",
            "annotations: ",
            "subsets: ",
            "null\n",
            "resources: {cores: 1e9}\n",
            "unpack: true\n",
            "<<: ",
            "\x00",
            "é\n",
        ]
    ),
    max_size=12,
).map("".join)


@given(_PIECES, _PIECES, st.sampled_from(["definition", "collection"]))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_anything_that_looks_like_a_spec_is_loaded(tmp_path: Path, first: str, second: str, kind: str) -> None:
    identity = (
        "name: a\ncategory: b\nversion: '1'\n"
        if kind == "definition"
        else "packages:\n- {name: a, category: b, version: '1'}\n"
    )
    write(tmp_path / "x", **{kind: identity + first, "build": second, "finalize": second})
    load([tmp_path])
