# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags and heads of real bare repositories, and URLs that would run something."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from farm.bump.gitremote import remote_head, remote_tags
from farm.spec.problem import FarmError


def git(folder: Path, *words: str) -> str:
    """Runs git as somebody."""
    command = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A bare repository with two tags, one of them annotated, and two branches."""
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "-q", "-b", "main")
    for number in ("1.0", "1.1"):
        (work / "file").write_text(number)
        git(work, "add", "file")
        git(work, "commit", "-q", "-m", number)
        git(work, "tag", *(["-a", "-m", "x"] if number == "1.1" else []), f"v{number}")
    git(work, "branch", "old", "HEAD~1")
    git(tmp_path, "clone", "-q", "--bare", str(work), "remote.git")
    return tmp_path / "remote.git"


def test_tags_and_heads(remote: Path) -> None:
    assert remote_tags(str(remote)) == ["v1.0", "v1.1"]
    assert remote_head(str(remote), "") == git(remote, "rev-parse", "main")
    assert remote_head(remote.as_uri(), "old") == git(remote, "rev-parse", "old")
    with pytest.raises(FarmError) as caught:
        remote_head(str(remote), "none")
    assert caught.value.code == "no-branch"


def test_what_cannot_be_asked_or_would_run_something(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    for url in (str(tmp_path / "none"), f"ext::sh -c 'touch {ran}'", f"--upload-pack=touch {ran}", "-x"):
        with pytest.raises(FarmError) as caught:
            remote_tags(url)
        assert caught.value.code == "git-failed"
    assert not ran.exists()
