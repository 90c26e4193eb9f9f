# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with secrets: who may read them, what is in them, and that no message has it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from farm.kit.notify import hooks_of
from farm.kit.secretfile import LONGEST, read_secret
from farm.spec.problem import FarmError, Place


def secret(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    file = folder / "secret"
    file.write_bytes(content)
    file.chmod(mode)
    return file


def code(file: Path) -> str:
    with pytest.raises(FarmError) as caught:
        read_secret(file, place=Place("conf", 3))
    assert "s3cret" not in str(caught.value).replace(str(file), "") and caught.value.problems[0].place == Place(
        "conf", 3
    )
    assert caught.value.problems[0].hint
    return caught.value.code


@pytest.mark.parametrize("content", [b"s3cret", b"s3cret\n", b" s3cret \r\nmore\n", b"s3cret\n\xff", b"s3cret\t\n"])
def test_the_first_line_is_the_secret(tmp_path: Path, content: bytes) -> None:
    assert read_secret(secret(tmp_path, content)) == "s3cret"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "no-secret"),
        (b"\ns3cret", "no-secret"),
        (b"s3cret with words", "bad-secret"),
        (b"s3cret\0x", "bad-secret"),
        ("s3cret\N{LATIN SMALL LETTER E WITH ACUTE}".encode(), "bad-secret"),
        (b"s3cret" * LONGEST, "bad-secret"),
    ],
)
def test_what_is_no_secret(tmp_path: Path, content: bytes, expected: str) -> None:
    assert code(secret(tmp_path, content)) == expected


@pytest.mark.parametrize(
    ("mode", "fine"), [(0o600, True), (0o400, True), (0o640, True), (0o644, False), (0o660, False), (0o602, False)]
)
def test_who_may_read_and_write_it(tmp_path: Path, mode: int, fine: bool) -> None:
    file = secret(tmp_path, b"s3cret", mode)
    if fine:
        assert read_secret(file) == "s3cret"
    else:
        assert code(file) == "open-secret"


def test_what_is_not_there(tmp_path: Path) -> None:
    assert (code(tmp_path / "none"), code(tmp_path)) == ("no-secret", "no-secret")


def test_a_pipe(tmp_path: Path) -> None:
    """As a shell makes one of ``<(pass show token)``."""
    os.mkfifo(tmp_path / "pipe", 0o644)
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"s3cret\n",))
    writer.start()
    assert read_secret(tmp_path / "pipe") == "s3cret"
    writer.join()


def test_hooks_say_what_is_wrong_with_their_files(tmp_path: Path) -> None:
    secret(tmp_path, b"s3cret", 0o644)
    hooks, problems = hooks_of({"hooks": [{"url_file": "secret"}, {"url_file": "none"}]}, {}, folder=tmp_path)
    assert (hooks, [(p.code, p.severity) for p in problems]) == (
        [],
        [("open-secret", "warning"), ("no-secret", "warning")],
    )
