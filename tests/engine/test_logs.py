# SPDX-License-Identifier: GPL-3.0-or-later
"""Log paths and tails; what the host tells."""

from __future__ import annotations

from pathlib import Path

from farm.engine import host
from farm.engine.logs import log_path, tail


def test_paths_are_safe_and_distinct() -> None:
    names = ["job:cat/name-1.0", "job:cat_name-1.0", "../../etc/passwd", "x" * 500, "x" * 501, "naïve", "a b"]
    paths = [log_path(Path("/store"), "run", name, 1) for name in names]
    assert len(set(paths)) == len(names)
    assert all(path.parent == Path("/store/logs/run") and len(path.name) < 256 for path in paths)
    assert log_path(Path("/s"), "run", "pack:a", 2) == Path("/s/logs/run/pack:a-2.log")


def test_tail(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 100_000 + b"\n\xff\nlast")
    assert tail(log, 2) == ("\ufffd", "last")
    assert tail(log, most=4) == ("last",)
    assert tail(None) == () and tail(tmp_path / "none") == ()


def test_pressure(tmp_path: Path) -> None:
    calm = "some avg10=99.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    assert not host.under_pressure(tmp_path)
    for name in ("memory", "io"):
        (tmp_path / name).write_text(calm)
    assert not host.under_pressure(tmp_path)
    (tmp_path / "memory").write_text(calm.replace("full avg10=0.00", "full avg10=35.10"))
    assert host.under_pressure(tmp_path)


def test_host() -> None:
    assert host.cores() >= 1 and host.memory() > 1 << 20
