# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: one precedence, and every value knows where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from farm.spec.problem import FarmError
from farm.spec.quantity import parse_duration, parse_size
from farm.spec.settings import Settings, read_settings, user_config_files


@pytest.fixture
def world(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    (tmp_path / "home").mkdir()
    return tmp_path


def read(world: Path, command_line: dict[str, Any] | None = None, **environ: str) -> Settings:
    files = [world / "home" / "farm.yaml", world / "etc.yaml"]
    environ["HOME"] = str(world / "home")
    return read_settings(command_line, environ, folder=world / "tree", user_files=files)


def test_defaults(world: Path) -> None:
    settings = read(world)
    assert settings.trees == (world / "tree",)
    assert settings.store == world / "home" / ".cache" / "farm"
    assert settings.platform.startswith("linux/")
    assert (settings.runner, settings.jobs, settings.keep_going, settings.network) == ("sandbox", None, False, False)
    assert {settings.origin(key) for key in settings.to_json()} == {"default"}


def test_the_higher_level_wins(world: Path) -> None:
    (world / "etc.yaml").write_text("jobs: 1\nrunner: etc\n")
    assert read(world).jobs == 1
    (world / "home" / "farm.yaml").write_text("jobs: 2\n")
    assert read(world).jobs == 2
    (world / "tree" / "farm.yaml").write_text("# settings\njobs: 3\n")
    settings = read(world)
    assert (settings.jobs, settings.runner) == (3, "etc")
    assert settings.origin("jobs") == f"{world}/tree/farm.yaml:2:1"
    settings = read(world, FARM_JOBS="4")
    assert (settings.jobs, settings.origin("jobs")) == (4, "environment FARM_JOBS")
    settings = read(world, {"jobs": 5, "runner": None}, FARM_JOBS="4")
    assert (settings.jobs, settings.origin("jobs"), settings.runner) == (5, "command line", "etc")


def test_false_is_a_value(world: Path) -> None:
    (world / "home" / "farm.yaml").write_text("keep-going: yes\n")
    (world / "tree" / "farm.yaml").write_text("keep-going: no\n")
    assert read(world).keep_going is False
    assert read(world, FARM_KEEP_GOING="1").keep_going is True


def test_paths_in_a_file_are_relative_to_it(world: Path) -> None:
    (world / "home" / "farm.yaml").write_text("store: cache\nvalues: a.yaml\n")
    (world / "tree" / "farm.yaml").write_text("destination: ../out\ntrees: [packages, /abs]\n")
    settings = read(world)
    assert settings.store == world / "home" / "cache"
    assert settings.values == (world / "home" / "a.yaml",)
    assert settings.destination == world / "tree" / "../out"
    assert settings.trees == (world / "tree" / "packages", Path("/abs"))
    assert read(world, FARM_STORE="here").store == world / "tree" / "here"


def test_the_trees_given_are_those_whose_settings_count(world: Path) -> None:
    (world / "tree" / "farm.yaml").write_text("jobs: 1\n")
    for name, text in (("a", "jobs: 2\n"), ("b", "jobs: 3\nrunner: docker\n")):
        (world / name).mkdir()
        (world / name / "farm.yaml").write_text(text)
    settings = read(world, {"trees": (world / "a", world / "b")})
    assert (settings.jobs, settings.runner) == (2, "docker")
    assert read(world, FARM_TREES=f"{world}/b:{world}/a").jobs == 3


def test_mappings_are_merged_by_name(world: Path) -> None:
    digest = "a" * 64
    (world / "home" / "farm.yaml").write_text("images: {gcc: one, alpine: two}\n")
    (world / "tree" / "farm.yaml").write_text(
        f"images: {{gcc: debian}}\nseeds:\n  debian: {{debootstrap: {{suite: host, date: 2024-01-01}}}}\n"
        f"  root: {{url: root.tar.zst, sha256: {digest}}}\n"
    )
    settings = read(world)
    assert settings.images == {"gcc": "debian", "alpine": "two"}
    assert settings.origin("images.alpine") == f"{world}/home/farm.yaml:1:20"
    assert settings.seeds["debian"] == {"debootstrap": {"suite": "host", "date": "2024-01-01"}}
    assert settings.seeds["root"]["url"] == f"file://{world}/tree/root.tar.zst"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("jbos: 3\n", "unknown-key"),
        ("jobs: many\n", "wrong-type"),
        ("jobs: 0\n", "bad-value"),
        ("compression: lzma\n", "bad-value"),
        ("seeds: {a: {url: x}}\n", "bad-value"),
        ("a: [\n", "bad-yaml"),
        ("[]\n", "wrong-type"),
        ("platform: amd64\n", "bad-platform"),
    ],
)
def test_bad_files(world: Path, text: str, code: str) -> None:
    (world / "tree" / "farm.yaml").write_text(text)
    with pytest.raises(FarmError) as caught:
        read(world)
    assert [p.code for p in caught.value.problems] == [code]
    assert str(caught.value.problems[0].place).startswith(f"{world}/tree/farm.yaml")


def test_a_bad_environment_or_command_line(world: Path) -> None:
    with pytest.raises(FarmError) as caught:
        read(world, {"platform": "arm"}, FARM_JOBS="x", FARM_CORES="7")
    assert sorted(p.code for p in caught.value.problems) == ["bad-platform", "wrong-type"]


def test_empty_files_are_fine(world: Path) -> None:
    (world / "tree" / "farm.yaml").write_text("jobs:\n")
    assert read(world).jobs is None


def test_user_files() -> None:
    assert user_config_files({"HOME": "/h"}) == [Path("/h/.config/farm/farm.yaml"), Path("/etc/farm/farm.yaml")]
    assert user_config_files({"XDG_CONFIG_HOME": "/x"})[0] == Path("/x/farm/farm.yaml")


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("512", 512), ("512B", 512), ("1k", 1024), ("2M", 2 << 20), ("1.5G", 3 << 29), ("1TiB", 1 << 40)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5", 1.5), ("1h30m", 5400), ("2d", 172800), ("100ms", 0.1), ("5min", 300)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "x", "-1", "1X", "1 G", "G", "1e3"])
def test_bad_quantities(text: str) -> None:
    for read_it in (parse_size, parse_duration):
        with pytest.raises(FarmError) as caught:
            read_it(text)
        assert caught.value.code in ("bad-size", "bad-duration")
