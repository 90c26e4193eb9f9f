# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox as an ordinary user: the same jobs, the same bytes. Root's test makes a user for it and removes it."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import job_roots
import pytest
from job_bench import Bench
from job_changes import CHANGES

from farm.runner import rootless
from farm.spec.problem import FarmError

_HERE = Path(__file__).resolve().parent
_SOURCE = _HERE.parents[1]


def _readable_python(user: int) -> list[str] | None:
    """A Python that user may run, this one's if it may."""
    check = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})"
    for program in (sys.executable, "/usr/bin/python3"):
        command = [*_become(user), program]
        if subprocess.run([*command, "-c", check], check=False, capture_output=True).returncode == 0:
            return command
    return None


def _become(user: int) -> list[str]:
    """Words before a command. The shell is there since setpriv itself still has root's rights when it executes."""
    if os.geteuid() == user:
        return []
    group = str(pwd.getpwuid(user).pw_gid)
    return ["setpriv", "--reuid", str(user), "--regid", group, "--init-groups", "sh", "-c", 'exec "$@"', "sh"]


@pytest.fixture(scope="module")
def user() -> Iterator[int]:
    """An ordinary user with subordinate ids: whoever runs the tests, or a new one."""
    if os.geteuid() != 0:
        yield os.geteuid()
        return
    if not (shutil.which("useradd") and shutil.which("setpriv")):
        pytest.skip("useradd or setpriv is missing")
    name = f"farmtest{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", "--shell", "/bin/sh", name], check=True, capture_output=True)
    try:
        uid = pwd.getpwnam(name).pw_uid
        yield uid
    finally:
        subprocess.run(["userdel", name], check=False, capture_output=True)


def _run(
    user: int, script: str, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    python = _readable_python(user)
    if python is None:
        pytest.skip("an ordinary user may not run this Python here")
    paths = f"{_SOURCE}:{sysconfig.get_path('purelib')}"
    clean = {"PATH": "/usr/bin:/bin", "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "KEPT": "a b", **(env or {})}
    return subprocess.run([*python, script, *arguments], env=clean, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def made(user: int, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    program = job_roots.busybox()
    if program is None:
        pytest.skip("no static busybox on this host (package busybox-static)")
    folder = Path("/var/tmp") / f"farm-rootless-{os.getpid()}"
    folder.mkdir()
    try:
        (folder / "base.tar").write_bytes(job_roots.busybox_root(program).getvalue())
        (folder / "python.tar").write_bytes(job_roots.python_root().getvalue())
        own = folder / "own"
        own.mkdir()
        os.chown(own, user, -1)
        script = str(_HERE / "rootless_jobs.py")
        done = _run(user, script, str(own), str(folder / "base.tar"), str(folder / "python.tar"))
        if "no-user-namespaces" in done.stderr or "no-subordinate-ids" in done.stderr:
            pytest.skip(done.stderr.splitlines()[-1])
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_is_root_inside(made: dict[str, Any]) -> None:
    assert (made["uid"], made["rootless"]) == (0, True)


def test_outputs(made: dict[str, Any]) -> None:
    assert made["outputs"] == {
        "ids": "0\n0\n0\n1234:5678\n",
        "null": "666\n",
        "tty": "no\n",
        "loopback": "up\nfarm\n",
        "pts": "ptmx\n1\n",
    }


def test_limits(made: dict[str, Any]) -> None:
    assert (made["timeout"], made["cancel"], made["processes"]) == ("timeout", "cancelled", "failed")


@pytest.mark.skipif(os.geteuid() != 0, reason="there is nothing to compare with but root's layers")
def test_same_layers_as_root(made: dict[str, Any], sandbox: Bench, python: str) -> None:
    layers = {}
    for change in (c for c in CHANGES if not c.node):
        below = (python,) if change.python else ()
        if change.before:
            below += (sandbox.layer(*change.before, layers=below),)
        layers[change.name] = sandbox.layer(*change.steps, layers=below)
    assert made["layers"] == layers


_EXEC = """
import os, sys
from farm.runner.rootless import ensure_privileges
before = os.environ.get("BEFORE")
if os.geteuid() != 0:
    os.environ["BEFORE"] = str(os.getpid())
ensure_privileges(sys.argv)
assert os.environ["BEFORE"] == str(os.getpid()) and os.environ["KEPT"] == "a b" and sys.argv[1:] == ["x y", ""]
print(os.getcwd(), os.getuid(), os.getgid(), sep="|")
sys.exit(7)
"""


def test_reexecution_keeps_everything(user: int) -> None:
    done = _script(user)
    assert (done.returncode, done.stdout) == (7, f"{Path.cwd()}|0|0\n"), done.stderr


def _script(user: int) -> subprocess.CompletedProcess[str]:
    path = Path("/var/tmp") / f"farm-exec-{os.getpid()}.py"
    path.write_text(_EXEC)
    path.chmod(0o644)
    try:
        return _run(user, str(path), "x y", "")
    finally:
        path.unlink()


def test_root_needs_nothing() -> None:
    if os.geteuid() == 0:
        rootless.ensure_privileges(["x"])


def test_missing_mappers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootless, "_search_path", lambda: "/nonexistent")
    with pytest.raises(FarmError) as caught:
        rootless.check_rootless()
    assert caught.value.code == "no-mappers"


def test_missing_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootless, "_user", lambda: "nobody-has-this-name")
    monkeypatch.setattr(rootless.os, "getuid", lambda: 4000000000)
    with pytest.raises(FarmError) as caught:
        rootless.check_rootless()
    assert caught.value.code == "no-subordinate-ids"
