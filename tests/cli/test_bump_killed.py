# SPDX-License-Identifier: GPL-3.0-or-later
"""`farm bump` killed at any moment: the next call ends where one that was never killed ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bump_site import Site
from release_forge import ReleaseForge

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="builds in the sandbox as root")

WHO = ("--commit", "--author", "Bot <bot@example.org>")
KILLER = Path(__file__).with_name("bump_killed.py")


@pytest.fixture
def news(forge: ReleaseForge) -> ReleaseForge:
    """A forge that has two new versions."""
    forge.projects["o/greet"].tags += ["v1.1"]
    forge.projects["o/one"].tags += ["0.20261127"]
    return forge


def killed(site: Site, number: int, when: str) -> subprocess.CompletedProcess[str]:
    """A call that is killed at a step."""
    command = [sys.executable, str(KILLER), str(number), when, *site.command(*WHO)]
    return subprocess.run(command, cwd=site.tree, env=site.environ(), capture_output=True, text=True, timeout=120)


def check(site: Site) -> None:
    """All is as one undisturbed call makes it; and one more changes nothing."""
    assert site.published() == {"lib/greet-1.1", "app/greeter-2.0+4", "meta/one-0.20261127", "meta/two-3"}
    assert site.revision() == 2
    assert site.sound()
    assert site.git("log", "--format=%s") == "Bump 3 packages\nby hand"
    assert site.dirty() == ""
    done = site.bump(*WHO)
    assert (done["status"], done["moves"], done["changed"], done["commits"]) == (0, [], False, [])


def steps(site: Site) -> int:
    """The number of steps of an undisturbed call."""
    done = killed(site, 10_000, "after")
    assert done.returncode == 0, done.stderr
    found = re.search(r"steps: (\d+)", done.stderr)
    assert found
    return int(found[1])


def test_killed_at_some_steps_of_writing(site: Site, published_site: Site, news: ReleaseForge, tmp_path: Path) -> None:
    count = steps(site)
    assert count > 10
    for number in (3, count - 2):
        _killed_at(published_site, news, tmp_path / f"at-{number}", number, "after")


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_each_step_of_writing(
    site: Site, published_site: Site, news: ReleaseForge, tmp_path: Path, when: str
) -> None:
    for number in range(1, steps(site) + 1):
        _killed_at(published_site, news, tmp_path / f"at-{number}", number, when)


def _killed_at(published: Site, news: ReleaseForge, folder: Path, number: int, when: str) -> None:
    folder.mkdir()
    site = published.copy(folder, news.base)
    assert killed(site, number, when).returncode == -signal.SIGKILL
    done = site.bump(*WHO)
    assert done["status"] == 0, (number, done)
    check(site)


def test_killed_while_it_builds(site: Site, news: ReleaseForge) -> None:
    site.replace("lib/greet/build.yaml", "steps: [", "steps: [sleep 1, ")
    site.publish()
    command = [sys.executable, "-m", "farm", *site.command(*WHO)]
    with subprocess.Popen(command, cwd=site.tree, env=site.environ(), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for line in process.stderr:
            if "start   lib/greet" in line:
                break
        process.send_signal(signal.SIGSTOP)
        second = site.call(*WHO)
        assert second.status == 1 and "[tree-busy]" in second.err
        process.kill()
    assert site.dirty() == "" and site.revision() == 1
    assert site.bump(*WHO)["status"] == 0
    assert site.published() >= {"lib/greet-1.1", "app/greeter-2.0+4"}


def test_cancelled_while_it_builds(site: Site, news: ReleaseForge) -> None:
    site.replace("lib/greet/build.yaml", "steps: [", 'steps: ["case $PACKAGE_VERSION in 1.1) sleep 60;; esac", ')
    site.publish()
    command = [sys.executable, "-m", "farm", *site.command(*WHO)]
    started = time.monotonic()
    with subprocess.Popen(command, cwd=site.tree, env=site.environ(), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for line in process.stderr:
            if "start   lib/greet" in line:
                break
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
    assert process.returncode == 130
    assert time.monotonic() - started < 50
    assert site.dirty() == "" and site.revision() == 1


def test_a_dry_run_tells_of_what_was_cut_off_and_changes_nothing(site: Site, news: ReleaseForge) -> None:
    assert killed(site, 2, "after").returncode == -signal.SIGKILL
    before = site.files()
    done = site.bump("--dry-run", *WHO)
    assert "unfinished" in [p["code"] for p in done["problems"]]
    assert site.files() == before


def test_what_a_person_changed_meanwhile_is_kept(site: Site, news: ReleaseForge) -> None:
    assert killed(site, 1, "after").returncode == -signal.SIGKILL
    (site.tree / "lib/greet/definition.yaml").write_text("mine")
    refused = site.call(*WHO)
    assert refused.status == 1 and "[tree-changed]" in refused.err
    assert (site.tree / "lib/greet/definition.yaml").read_text() == "mine"
