# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates and what Go 1.19 with sprig 3.2.3 makes of them (recorded in data/): the same text, or an error in both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from farm.spec.problem import FarmError
from farm.spec.template import render

DATA = Path(__file__).parent / "data"
CODES = {"template-syntax", "template-unknown-function", "template-arity", "template-execution"}


def _cases() -> list[Any]:
    return [
        pytest.param(row["template"], row["output"], id=f"{path.stem}-{number}")
        for path in sorted(DATA.glob("*.json"))
        for number, row in enumerate(json.loads(path.read_text()))
    ]


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((DATA / "values.yaml").read_text())
    return data


@pytest.mark.parametrize(("template", "expected"), _cases())
def test_as_go(template: str, expected: str | None, values: dict[str, Any]) -> None:
    if expected is None:
        with pytest.raises(FarmError) as caught:
            render(template, values, name="f")
        assert {problem.code for problem in caught.value.problems} <= CODES
        assert all(problem.place for problem in caught.value.problems)
    else:
        # Go's JSON tells nil lists from empty ones; here there are only empty ones.
        assert render(template, values, name="f").text.replace("null", "[]") == expected.replace("null", "[]")
