# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox as an ordinary user: the same jobs, the same bytes. Root's test makes a user for it and removes it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import job_roots
import machine_programs
import pytest
import zstandard
from job_bench import Bench
from job_changes import CHANGES

from farm.runner import binfmt, rootless
from farm.spec.problem import FarmError
from farm.store.removal import remove_tree
from farm.store.session import locked
from farm.store.store import Store

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
    _change_users("useradd", "--no-create-home", "--shell", "/bin/sh", name)
    try:
        uid = pwd.getpwnam(name).pw_uid
        yield uid
    finally:
        _change_users("userdel", name)


def _change_users(*command: str) -> None:
    """One at a time on this host: useradd and userdel do not wait for each other, they fail."""
    with locked(Path(tempfile.gettempdir()) / "farm-test-users"):
        subprocess.run(command, check=command[0] == "useradd", capture_output=True)


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


_FOREIGN = """
image: box
package_dir: /out
steps:
- |
  set -e
  mkdir /out
  uname -m >/out/machine
  echo text >/out/owned && chown 1234:56 /out/owned && chmod 640 /out/owned
  cp /bin/busybox /out/set-id && chmod 4755 /out/set-id && ln /out/set-id /out/again
  mkfifo /out/pipe && ln -s owned /out/link
  stat -c '%u:%g %a' /out/owned /out/set-id >/out/seen
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="there is nothing to compare with but root's packages")
def test_foreign_packages_are_those_of_root(user: int, tmp_path: Path) -> None:
    """Emulated builds (``--platform linux/arm64``) of an ordinary user: the same bytes."""
    if problem := binfmt.check("linux/arm64"):
        pytest.skip(problem.message)
    program = machine_programs.busybox("linux/arm64", tmp_path)
    if program is None:
        pytest.skip("no mirror has this busybox any more")
    folder = Path("/var/tmp") / f"farm-foreign-{os.getpid()}"
    package = folder / "tree/app/foreign"
    package.mkdir(parents=True)
    try:
        content = job_roots.busybox_root(program).getvalue()
        (folder / "box.tar").write_bytes(content)
        source = f"{{url: {folder}/box.tar, sha256: {hashlib.sha256(content).hexdigest()}}}"
        (folder / "tree/farm.yaml").write_text(f"seeds:\n  box: {source}\n")
        (package / "definition.yaml").write_text('category: app\nname: foreign\nversion: "1.0"\n')
        (package / "build.yaml").write_text(_FOREIGN)
        (folder / "own").mkdir()
        os.chown(folder / "own", user, -1)
        words = ["farm", "build", "--json", "--tree", str(folder / "tree"), "--platform", "linux/arm64", "app/foreign"]
        env = {"HOME": str(folder / "own")}
        made = _run(user, "-m", *words, "--store", str(folder / "own/store"), env=env)
        if "no-user-namespaces" in made.stderr or "no-subordinate-ids" in made.stderr:
            pytest.skip(made.stderr.splitlines()[-1])
        assert made.returncode == 0, made.stderr + made.stdout
        roots = subprocess.run([sys.executable, "-m", *words, "--store", tmp_path / "store"], cwd=_SOURCE, check=True,
                               capture_output=True, text=True)  # fmt: skip
        digests = [json.loads(out.splitlines()[-1])["packages"][0]["sha256"] for out in (made.stdout, roots.stdout)]
        assert digests[0] == digests[1]
        with Store(tmp_path / "store") as store:
            data = zstandard.ZstdDecompressor().stream_reader(store.blob_path(digests[0]).read_bytes()).read()
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            found = {member.name: member for member in tar}
            text = {name: tar.extractfile(name).read() for name in ("machine", "seen")}  # type: ignore[union-attr]
        assert text == {"machine": b"aarch64\n", "seen": b"1234:56 640\n0:0 4755\n"}
        assert (found["owned"].uid, found["owned"].gid, found["owned"].mode) == (1234, 56, 0o640)
        assert (found["again"].mode, found["set-id"].islnk()) == (0o4755, True)
    finally:
        remove_tree(folder)


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
