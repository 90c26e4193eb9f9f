# SPDX-License-Identifier: GPL-3.0-or-later
"""The next build's version, and definitions that keep what people wrote around it."""

from __future__ import annotations

import pytest

from farm.spec.bump import bump_definition, bump_version
from farm.spec.problem import FarmError
from farm.spec.version import Version

# From reading luet 0.40's BumpBuildVersion and running it.
RULES = {
    "1.0": "1.0+1",
    "1.0+1": "1.0+2",
    "1.0+9": "1.0+10",
    "1.0+r2": "1.0+r3",
    "1.0+p2": "1.0+p3",
    "1.0+rc2": "1.0+rc3",
    "1.0+pre.3": "1.0+pre.4",
    "1.0_p1": "1.0_p1+1",
    "1.0-r3": "1.0-r3+1",
    "0.20230710+1": "0.20230710+2",
    "1.0+git": "1.0+git.1",
}


@pytest.mark.parametrize("version", RULES)
def test_rule(version: str) -> None:
    bumped = bump_version(version)
    assert bumped == RULES[version]
    assert Version.parse(bumped) > Version.parse(version)


def test_no_version() -> None:
    with pytest.raises(FarmError) as caught:
        bump_version(">=1.0")
    assert caught.value.code == "bad-version"


DEFINITION = """# größe: a comment before
name: greet   # who
version: {version}   # quoted for a reason
category: lib
free: {{a: [1,   2]}}
labels: {{version: "1.0"}}
"""


@pytest.mark.parametrize(
    ("written", "bumped"),
    [('"1.0"', '"1.0+1"'), ("'1.0+r1'", "'1.0+r2'"), ("1.0", '"1.0+1"'), ("1.0+4", '"1.0+5"')],
)
def test_only_the_version_changes(written: str, bumped: str) -> None:
    text = DEFINITION.format(version=written)
    found = bump_definition(text, "definition.yaml")
    assert found.text == DEFINITION.format(version=bumped)
    assert str(found.id) == f"lib/greet-{bumped[1:-1]}"


def test_a_version_that_was_asked_for() -> None:
    found = bump_definition(DEFINITION.format(version="1.0"), "definition.yaml", "2.5")
    assert found.text == DEFINITION.format(version='"2.5"')


@pytest.mark.parametrize(
    ("text", "version", "code"),
    [
        ("packages: []\n", None, "missing-key"),
        ("name: a\ncategory: b\nversion: [\n", None, "bad-yaml"),
        (DEFINITION.format(version="1.0"), ">=2", "bad-version"),
    ],
)
def test_refused(text: str, version: str | None, code: str) -> None:
    with pytest.raises(FarmError) as caught:
        bump_definition(text, "definition.yaml", version)
    assert caught.value.code == code


COLLECTION = """# both
packages:
- {category: lib, name: a, version: 1.0}   # first
- category: lib
  name: b
  version: &v '2.0'
  labels:
    package.version: "2.0"   # without the build
    autobump.hook: |
      echo 2.0
- &third
  category: lib
  name: c
  version: 3.0
  labels: {package.version: 3.0, same: *v}
"""


def test_one_entry_of_a_collection() -> None:
    found = bump_definition(COLLECTION, "collection.yaml", entry=0)
    assert found.text == COLLECTION.replace("version: 1.0}", 'version: "1.0+1"}')
    assert str(found.id) == "lib/a-1.0+1"
    found = bump_definition(COLLECTION, "collection.yaml", "3.1", entry=2, labels={"package.version": "3.1"})
    wanted = COLLECTION.replace("version: 3.0\n", 'version: "3.1"\n').replace("version: 3.0,", 'version: "3.1",')
    assert found.text == wanted


def test_an_anchor_stays_and_what_stands_in_two_places_is_refused() -> None:
    alone = COLLECTION.replace(", same: *v", "")
    found = bump_definition(alone, "collection.yaml", "2.1", entry=1, labels={"autobump.hook": 'echo "2"'})
    assert "version: &v '2.1'\n" in found.text
    assert '    autobump.hook: "echo \\"2\\""\n- &third' in found.text
    with pytest.raises(FarmError) as caught:
        bump_definition(COLLECTION, "collection.yaml", "2.1", entry=1)
    assert caught.value.code == "cannot-edit"


def test_line_ends_and_a_byte_order_mark_stay() -> None:
    text = "\ufeffname: a\r\ncategory: b\r\nversion: 1.0 # x\r\n"
    assert bump_definition(text, "definition.yaml").text == text.replace("1.0", '"1.0+1"')


@pytest.mark.parametrize(
    ("labels", "entry", "code"), [({"no": "x"}, 1, "missing-key"), ({}, 7, "missing-key"), ({}, -1, "missing-key")]
)
def test_refused_in_a_collection(labels: dict[str, str], entry: int, code: str) -> None:
    with pytest.raises(FarmError) as caught:
        bump_definition(COLLECTION, "collection.yaml", "9", entry=entry, labels=labels)
    assert caught.value.code == code
