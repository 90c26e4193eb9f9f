# SPDX-License-Identifier: GPL-3.0-or-later
"""The schemas: well-formed, explained with codes, and the fast check agrees with jsonschema."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.spec.platform import MACHINES
from farm.spec.problem import FarmError
from farm.spec.schema import KINDS, Kind, explain, keys_of, schema, valid


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_a_self_contained_schema(kind: Kind) -> None:
    document = schema(kind)
    jsonschema.Draft202012Validator.check_schema(document)
    names = {part["$ref"] for part in _parts(document) if "$ref" in part}
    assert {name.removeprefix("#/$defs/") for name in names} == set(document.get("$defs", {}))


def test_unknown_kind() -> None:
    with pytest.raises(FarmError) as caught:
        schema("bild")
    assert caught.value.code == "unknown-kind"


def test_keys() -> None:
    assert {"name", "requires"} <= keys_of("definition")
    assert "steps" in keys_of("build")
    assert "keep-going" in keys_of("farm")


@pytest.mark.parametrize(
    ("kind", "data", "code", "path"),
    [
        ("definition", {"name": "a", "category": "b"}, "missing-key", ()),
        ("definition", {"name": "a/b", "category": "b", "version": "1"}, "bad-name", ("name",)),
        ("definition", {"name": "a", "category": "..", "version": "1"}, "bad-name", ("category",)),
        ("definition", [], "wrong-type", ()),
        ("build", {"stepz": []}, "unknown-key", ("stepz",)),
        ("build", {"steps": "make"}, "wrong-type", ("steps",)),
        ("build", {"sources": [{"url": "https://a/b"}]}, "source-without-sha256", ("sources", 0)),
        ("build", {"sources": [{"url": "b", "sha256": "0" * 64}]}, "bad-url", ("sources", 0, "url")),
        ("build", {"resources": {"memory": "many"}}, "bad-size", ("resources", "memory")),
        ("build", {"resources": {"timeout": "1y"}}, "bad-duration", ("resources", "timeout")),
        ("build", {"platforms": ["amd64"]}, "bad-platform", ("platforms", 0)),
        ("build", {"platforms": ["linux/arm64", "linux/armhf"]}, "bad-platform", ("platforms", 1)),
        ("farm", {"platform": "linux/arm64/v8"}, "bad-platform", ("platform",)),
        ("farm", {"accelerators": {"arm64": "a/b"}}, "unknown-key", ("accelerators", "arm64")),
        ("build", {"copy": [{"package": {"name": "x"}, "source": "a", "destination": "b"}]}, "missing-key", None),
        ("finalize", {"instal": []}, "unknown-key", ("instal",)),
        ("farm", {"compression": "lzma"}, "bad-value", ("compression",)),
        ("farm", {"seeds": {"a": {}}}, "bad-value", ("seeds", "a")),
    ],
)
def test_explanations(kind: Kind, data: Any, code: str, path: tuple[str | int, ...] | None) -> None:
    assert not valid(kind, data)
    findings = explain(kind, data)
    assert [f.code for f in findings] == [code]
    assert path is None or findings[0].path == path


def test_a_misspelt_key_is_recognised() -> None:
    (finding,) = explain("build", {"stepz": []})
    assert "'steps'" in finding.hint


def _parts(node: Any) -> Any:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _parts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _parts(value)


# Documents that are nearly right: the known keys, with values of every kind.

_WORDS = sorted(set().union(*(part.get("properties", ()) for kind in KINDS for part in _parts(schema(kind)))))
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.sampled_from([0.0, 1.0, 1.5, -1.0, float("nan"), float("inf")]),
    st.sampled_from(
        ["", "a", "a/b", "..", "1.0", ">=1", "2G", "1h", "linux/amd64", "0" * 64, "https://a/b", "zstd", "x\n"]
    ),
)


def _nested(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(children, max_size=3) | st.dictionaries(st.sampled_from([*_WORDS, "other"]), children, max_size=5)


_DOCUMENTS = st.recursive(_SCALARS, _nested, max_leaves=12)


@given(kind=st.sampled_from(KINDS), data=_DOCUMENTS)
@settings(max_examples=300, deadline=None)
def test_the_fast_check_agrees_with_jsonschema(kind: Kind, data: Any) -> None:
    expected = jsonschema.Draft202012Validator(schema(kind)).is_valid(data)
    assert valid(kind, data) == expected
    assert bool(explain(kind, data)) != expected


def test_schemas_and_programs_know_the_same_platforms() -> None:
    for platform in MACHINES:
        assert valid("build", {"platforms": [platform], "sources": []})
        assert valid("farm", {"platform": platform, "accelerators": {platform: "native/gcc"}})
        assert platform in schema("build")["$defs"]["platform"]["x-hint"]
    assert list(schema("farm")["properties"]["accelerators"]["properties"]) == list(MACHINES)
    assert schema("farm")["properties"]["platform"]["pattern"] == schema("build")["$defs"]["platform"]["pattern"]


_GOOD_BUILD = {
    "requires": [{"name": "a", "category": "b", "version": ">=1"}],
    "copy": [{"package": {"name": "a", "category": "b"}, "image": None, "source": "/a", "destination": "/b"}],
    "sources": [
        {"url": "https://a/b", "sha256": "0" * 64, "unpack": {"to": "x", "strip": 1}},
        {"url": "apt:a", "sha256": "f" * 64, "unpack": True},
    ],
    "resources": {"cores": 2, "memory": "2G", "silent-timeout": "10m"},
    "platforms": ["linux/arm/v7"],
    "network": False,
}


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_they_agree_on_a_good_build_with_one_thing_changed(data: st.DataObject) -> None:
    document = json.loads(json.dumps(_GOOD_BUILD))
    assert valid("build", document)
    node = document
    for _ in range(data.draw(st.integers(0, 3))):
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        following = node[data.draw(st.sampled_from(keys))] if keys else None
        node = following if isinstance(following, dict | list) and following else node
    key = data.draw(st.sampled_from(list(node))) if isinstance(node, dict) else 0
    node[key] = data.draw(_DOCUMENTS)
    assert valid("build", document) == jsonschema.Draft202012Validator(schema("build")).is_valid(document)
