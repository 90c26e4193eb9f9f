# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job may have of the host, and the tarballs that come of it."""

from __future__ import annotations

import datetime
import io
import json
import subprocess
import tarfile
import threading
from dataclasses import asdict
from pathlib import Path

import pytest

from farm.plan.job import Work
from farm.spec.problem import FarmError
from farm.stage.metro.host import clear_rootfs, host_environment, host_problems
from farm.stage.metro.makers import Deliver, Tarball, rootfs_problems
from farm.stage.metro.model import AniseSource, Bind, Hook, Job, Output, TarRules
from farm.stage.metro.state import begun, finished, moment_of, remember
from farm.store.store import Store

NOON = datetime.datetime(2026, 11, 27, 12, tzinfo=datetime.UTC)


def _job(folder: Path, *binds: Bind) -> Job:
    output = Output(folder / "out", "x.tar", "none")
    return Job("j", folder / "f.yaml", AniseSource(None, (), ()), output, folder / "work", {}, (), binds, (), NOON)


def _codes(job: Job, folder: Path, hooks: tuple[Hook, ...] = (), *, allow: bool = True) -> list[str]:
    return [p.code for p in host_problems(job, folder, folder / "store", hooks, allow_hooks=allow)]


_OF_THE_HOST = ("/", "/etc", "/etc/ssh", "/usr/bin", "/dev", "/proc/self", "/run", "~", "~/.ssh")
_OF_THE_FARM = ("store", "store/layers", "work/rootfs", "work/rootfs/a", "work", "file", "link")


@pytest.mark.parametrize("source", [*_OF_THE_HOST, *_OF_THE_FARM])
def test_folders_of_the_host_that_no_job_gets(tmp_path: Path, source: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("/etc")
    written = str(Path(source).expanduser())
    assert _codes(_job(tmp_path, Bind(written, "/x")), tmp_path) == ["bad-bind"]


@pytest.mark.parametrize("target", ["/", "/dev/x", "/proc", "/sys/fs", "/a/../dev", "//"])
def test_places_in_the_root_where_nothing_is_bound(tmp_path: Path, target: str) -> None:
    assert set(_codes(_job(tmp_path, Bind("distfiles", target)), tmp_path)) == {"bad-bind"}


def test_what_a_job_gets(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    binds = (Bind("there", "/a"), Bind("new/er", "/var/b"), Bind(str(tmp_path / "work/distfiles"), "/c"))
    assert not _codes(_job(tmp_path, *binds), tmp_path)
    hooks = (Hook(1, "a", "outer-chroot", ("x",)), Hook(2, "b", "outer-post-output", ("x",)))
    assert not _codes(_job(tmp_path), tmp_path, hooks)
    assert _codes(_job(tmp_path), tmp_path, hooks, allow=False) == ["host-hook-not-allowed"]
    (tmp_path / "out").touch()
    assert _codes(_job(tmp_path), tmp_path) == ["bad-folder"]


def test_the_environment_of_hooks_on_the_host() -> None:
    assert host_environment({"PATH": "/bin", "TOKEN": "x", "https_proxy": "p"}) == {"PATH": "/bin", "https_proxy": "p"}


def test_a_root_with_a_mount_in_it_is_left_alone(tmp_path: Path) -> None:
    """In a mount namespace of its own; what is mounted is a folder with a file that has to stay."""
    job = _job(tmp_path)
    (tmp_path / "host").mkdir()
    (tmp_path / "host/file").touch()
    (job.rootfs / "dev").mkdir(parents=True)
    code = f"""if True:
        from pathlib import Path
        from test_host import _job, clear_rootfs, rootfs_problems, FarmError
        job = _job(Path({str(tmp_path)!r}))
        assert [p.code for p in rootfs_problems(job.rootfs)] == ["mounted"]
        try:
            clear_rootfs(job)
        except FarmError as failure:
            assert failure.code == "mounted"
        else:
            raise AssertionError"""
    (tmp_path / "try.py").write_text(code)
    script = f"mount --bind host work/rootfs/dev && exec {_python()} try.py"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    if done.returncode and "Operation not permitted" in done.stderr:
        pytest.skip("mounting needs root")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "host/file").exists()
    clear_rootfs(job)
    assert not job.rootfs.exists()
    assert rootfs_problems(job.rootfs)[0].code == "no-rootfs"


def _python() -> str:
    import shlex
    import sys

    here = Path(__file__).resolve()
    return f"env PYTHONPATH={shlex.quote(f'{here.parents[3]}:{here.parent}')} {shlex.quote(sys.executable)}"


@pytest.mark.parametrize(
    ("compression", "head", "flag"),
    [("none", b"./", "-t"), ("gzip", b"\x1f\x8b", "-tz"), ("bzip2", b"BZh9", "-tj"), ("xz", b"\xfd7zXZ\0", "-tJ"),
     ("zstd", b"\x28\xb5\x2f\xfd", "-t")],
)  # fmt: skip
def test_tarballs(tmp_path: Path, compression: str, head: bytes, flag: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, mtime in (("a", 5), ("b", int(NOON.timestamp()) + 9)):
            entry = tarfile.TarInfo(name)
            entry.mtime = mtime
            entry.pax_headers = {"SCHILY.xattr.user.note": name}
            tar.addfile(entry)
    out.seek(0)
    with Store(tmp_path / "store") as store:
        layer = store.import_layer(out).digest
        settings = (
            ("compression", compression),
            ("epoch", str(int(NOON.timestamp()))),
            ("rules", json.dumps(asdict(TarRules()))),
        )
        work = Work("x", (layer,), settings=settings)
        made = Tarball().make(work, store, tmp_path / "log", threading.Event())
        assert store.blob_path(made.blob or "").read_bytes().startswith(head)
        where = (("folder", str(tmp_path / "out/deep")), ("name", "x"))
        deliver = Work("y", blobs=(made.blob or "",), local=where)
        Deliver().make(deliver, store, tmp_path / "log", threading.Event())
        assert Deliver().identify(deliver) == deliver
        assert Deliver().identify(Work("y", local=(("folder", "/none"), ("name", "x")))) != Work("y")
    listed = subprocess.run(
        ["tar", flag, "-vf", tmp_path / "out/deep/x", "--utc"], capture_output=True, text=True, check=True
    )
    if compression == "none":
        with tarfile.open(tmp_path / "out/deep/x") as tar:
            assert tar.getmember("./a").pax_headers["SCHILY.xattr.user.note"] == "a"
    lines = [line.split() for line in listed.stdout.splitlines()]
    assert [(line[-1], line[3]) for line in lines] == [
        ("./", "2026-11-27"),
        ("./a", "1970-01-01"),
        ("./b", "2026-11-27"),
    ]
    assert sorted(path.name for path in (tmp_path / "out/deep").iterdir()) == ["x", "x.sha256", "x.sha512"]


def test_what_is_remembered_of_a_run(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    with Store(tmp_path / "store") as store:
        with begun(store, file, "j", NOON) as first:
            remember(store, file, "j", first)
            with pytest.raises(FarmError) as caught, begun(store, file, "j", NOON):
                pass
            assert caught.value.code == "metro-busy"
        with begun(store, file, "j", None) as again:
            assert (again.once, again.moment, again.resumed) == (first.once, NOON, True)
        with begun(store, file, "j", NOON + datetime.timedelta(1)) as other:
            assert not other.resumed
        with begun(store, file, "j", None, fresh=True) as fresh:
            assert not fresh.resumed
        state = next((tmp_path / "store/metro").iterdir())
        text = state.read_text()
        for broken in (
            "",
            "{",
            "[]",
            '{"once": 1}',
            '{"once": "a", "moment": "x"}',
            '{"once": "a", "moment": "2026-11-27"}',
        ):
            state.write_text(broken)
            with begun(store, file, "j", None) as run:
                assert not run.resumed
        state.write_text(text.replace(str(first.began.year), "2020", 2))
        with begun(store, file, "j", None) as old:
            assert not old.resumed, "it is too old"
        state.write_text(text)
        finished(store, file, "j")
        with begun(store, file, "j", None) as after:
            assert not after.resumed


def test_moments() -> None:
    assert moment_of({}) is None
    assert moment_of({"SOURCE_DATE_EPOCH": "1795780800"}) == NOON
    assert moment_of({"SOURCE_DATE_EPOCH": "1"}, "2026-11-27T12:00:00") == NOON
    for environ, date in (
        ({"SOURCE_DATE_EPOCH": "x"}, None),
        ({}, "tomorrow"),
        ({"SOURCE_DATE_EPOCH": "9" * 30}, None),
    ):
        with pytest.raises(FarmError) as caught:
            moment_of(environ, date)
        assert caught.value.code == "bad-date"
