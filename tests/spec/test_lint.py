# SPDX-License-Identifier: GPL-3.0-or-later
"""What only shows in the whole tree."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from farm.spec.cycles import cycles
from farm.spec.lint import findings, lint
from farm.spec.load import load
from farm.spec.problem import Problem

REFERENCE = Path(__file__).parent.parent / "data" / "tree"


def spec(tree: Path, name: str, *, build: str | None = "image: scratch\n", more: str = "") -> Path:
    folder = tree / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "definition.yaml").write_text(f"name: {name}\ncategory: c\nversion: '1'\n{more}")
    if build is not None:
        (folder / "build.yaml").write_text(build)
    return folder


def needs(*names: str) -> str:
    items = "".join(
        f"- {{name: {name.partition('@')[0]}, category: c, version: '{name.partition('@')[2]}'}}\n" for name in names
    )
    return f"requires:\n{items}"


def found(*trees: Path) -> list[Problem]:
    return lint(load(trees))


def brief(problems: list[Problem]) -> list[tuple[str, str, str | None]]:
    return [(p.code, p.severity, p.package) for p in problems]


def test_the_reference_tree_is_clean() -> None:
    assert findings(load([REFERENCE / "packages"], [REFERENCE / "values" / "amd64.yaml"])) == []


def test_missing_for_the_build_is_an_error_at_its_place_in_the_template(tmp_path: Path) -> None:
    spec(tmp_path, "a", build="{{- if true }}\n\n{{- end }}\n" + needs("base", "bas"))
    spec(tmp_path, "base")
    (problem,) = found(tmp_path)
    assert brief([problem]) == [("missing-requirement", "error", "c/a-1")]
    assert problem.place is not None
    assert Path(problem.place.file) == tmp_path / "a" / "build.yaml"
    assert problem.place.line == 6
    assert "c/base" in problem.hint


def test_missing_at_run_time_may_come_from_elsewhere(tmp_path: Path) -> None:
    spec(tmp_path, "a", more=needs("gone"))
    spec(tmp_path, "b", more=needs("gone"), build="")
    problems = found(tmp_path)
    assert brief(problems) == [
        ("missing-requirement", "warning", "c/a-1"),
        ("missing-requirement", "error", "c/b-1"),
    ]
    assert problems[0].place is not None
    assert problems[0].place.line == 5


def test_no_version_fits(tmp_path: Path) -> None:
    spec(tmp_path, "a", build=needs("b@>=2"))
    spec(tmp_path, "b")
    (problem,) = found(tmp_path)
    assert problem.code == "missing-requirement"
    assert "c/b-1" in problem.hint


def test_a_collection_and_a_copy(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "collection.yaml").write_text(
        "packages:\n- {name: a, category: c, version: '1'}\n- name: b\n  category: c\n  version: '1'\n  "
        + needs("gone").replace("\n", "\n  ")
    )
    copy = "copy:\n- package: {name: gone, category: c}\n  source: /a\n  destination: /b\n"
    (tmp_path / "x" / "build.yaml").write_text(f"image: scratch\n{copy}")
    problems = found(tmp_path)
    assert [
        (p.severity, p.package, p.place and Path(p.place.file).name, p.place and p.place.line) for p in problems
    ] == [
        ("error", "c/a-1", "build.yaml", 3),
        ("error", "c/b-1", "build.yaml", 3),
        ("warning", "c/b-1", "collection.yaml", 7),
    ]


def test_provides_satisfy(tmp_path: Path) -> None:
    spec(tmp_path, "a", build=needs("virtual@>=1"))
    spec(tmp_path, "b", more="provides: [{name: virtual, category: c, version: '1'}]\n")
    assert found(tmp_path) == []


def test_cycles_are_told_as_a_path(tmp_path: Path) -> None:
    spec(tmp_path, "a", build=needs("b"))
    spec(tmp_path, "b", build=needs("d"))
    spec(tmp_path, "d", build=needs("a"))
    spec(tmp_path, "self", build=needs("self"))
    problems = found(tmp_path)
    assert brief(problems) == [("cycle", "error", "c/a-1"), ("cycle", "error", "c/self-1")]
    assert "c/a-1 -> c/b-1 -> c/d-1 -> c/a-1" in problems[0].message


def test_cycles_at_run_time_are_warnings(tmp_path: Path) -> None:
    spec(tmp_path, "a", more=needs("b"))
    spec(tmp_path, "b", more=needs("a"))
    assert brief(found(tmp_path)) == [("cycle", "warning", "c/a-1")]


def test_a_cycle_through_inherited_requirements_is_told_once(tmp_path: Path) -> None:
    spec(tmp_path, "a", more=needs("b"), build="")
    spec(tmp_path, "b", more=needs("a"), build="")
    assert brief(found(tmp_path)) == [("cycle", "error", "c/a-1")]


def test_duplicates(tmp_path: Path) -> None:
    spec(tmp_path / "t" / "x", "a")
    spec(tmp_path / "t" / "y", "a")
    spec(tmp_path / "u", "a")
    problems = found(tmp_path / "t", tmp_path / "u")
    assert sorted(brief(problems), key=str) == [
        ("duplicate-package", "error", None),
        ("duplicate-package", "warning", "c/a-1"),
    ]
    for problem in problems:
        assert str(tmp_path / "t" / "x" / "a" / "definition.yaml") in problem.hint


def test_missing_build(tmp_path: Path) -> None:
    spec(tmp_path, "a", build=needs("b"))
    spec(tmp_path, "b", build=None)
    assert brief(found(tmp_path)) == [
        ("missing-build", "error", "c/a-1"),
        ("missing-build", "warning", "c/b-1"),
    ]


def test_a_broken_package_is_told_once(tmp_path: Path) -> None:
    spec(tmp_path, "a", build=needs("b"))
    spec(tmp_path, "b", build="stepz: []\n")
    assert found(tmp_path) == []


def test_what_many_packages_share_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "t.yaml").write_text("{{ frobnicate }}\n")
    for name in "abc":
        spec(tmp_path, name)
    tree = load([tmp_path])
    assert len(tree.problems) == 3
    (problem,) = findings(tree)
    assert (problem.code, problem.package) == ("template-unknown-function", None)


def test_cycles_of_a_graph() -> None:
    assert cycles([[1], [2], [0, 1], [3], []]) == [[0, 1, 2], [3]]
    assert cycles([[1, 2], [2], []]) == []


@given(
    st.integers(1, 8).flatmap(lambda n: st.lists(st.lists(st.integers(0, n - 1), max_size=3), min_size=n, max_size=n))
)
@settings(deadline=None)
def test_a_cycle_is_found_in_each_component_that_has_one(graph: list[list[int]]) -> None:
    reach = [{n} for n in range(len(graph))]
    for _ in graph:
        reach = [{*seen}.union(*(graph[m] for m in seen)) for seen in reach]
    looping = {n for n, successors in enumerate(graph) if any(n in reach[s] for s in successors)}
    components = {frozenset(m for m in looping if m in reach[n] and n in reach[m]) for n in looping}
    told = cycles(graph)
    assert [cycle[0] for cycle in told] == sorted(min(component) for component in components)
    for cycle in told:
        assert all(b in graph[a] for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True))


def test_very_long_chains() -> None:
    size = 50_000
    chain = [[n + 1] for n in range(size)]
    assert cycles([*chain, []]) == []
    assert len(cycles([*chain, [0]])[0]) == size + 1
