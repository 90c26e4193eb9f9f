# SPDX-License-Identifier: GPL-3.0-or-later
"""A floor imports only from the floors below it, and nothing imports what is heavy at start-up."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

FARM = Path(__file__).parent.parent / "farm"
FLOORS = {
    "spec": 0,
    "plan": 1,
    "store": 2,
    "runner": 3,
    "engine": 4,
    "stage": 5,
    "image": 5,
    "wagon": 5,
    "kit": 5,
    "bump": 5,
    "publish": 6,
    "web": 6,
    "client": 6,
    "cli": 7,
}
HEAVY = ("docker", "requests", "rich", "jsonschema", "paramiko", "pylxd", "distributed", "tenacity",
         "portage", "boto3", "jinja2", "qemu")  # fmt: skip


def imports(path: Path) -> list[str]:
    """Every module that a file imports, wherever in the file."""
    found = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            found.append(node.module)
    return found


FILES = sorted(FARM.glob("*/**/*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FARM)))
def test_imports_go_down(path: Path) -> None:
    floor = path.relative_to(FARM).parts[0]
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "farm" or len(parts) == 1:
            continue
        other = parts[1]
        assert other == floor or FLOORS[other] < FLOORS[floor], f"{floor} imports {name}"


def test_plan_is_pure() -> None:
    for path in (FARM / "plan").glob("*.py"):
        assert not {"os", "pathlib", "subprocess", "time", "socket", "shutil"} & set(imports(path)), path


def test_no_file_is_too_long() -> None:
    long = {str(path): lines for path in FILES if (lines := len(path.read_text().splitlines())) > 500}
    assert not long


def test_start_up_imports_nothing_heavy() -> None:
    code = "import sys; from farm.cli.main import cli; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not set(HEAVY) & set(loaded)
