# SPDX-License-Identifier: GPL-3.0-or-later
"""The small Macaroni From Scratch through all three stages, twice: about 3 minutes on two quiet cores.

pytest -m ci tests/stage/test_mini.py
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
SEED = """\
release: {build: seed, subarch: generic_64, target: seed}
platform: linux/amd64
seed: {debootstrap: {suite: host, packages: [gcc, libc6-dev, make, patch]}}
outputs: [tar]
"""

pytestmark = [
    pytest.mark.ci,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
]


def build(place: Path, name: str, *words: str) -> dict[str, str]:
    """Builds a stage in ``place``; the sha256 of each output of each stage."""
    command = [sys.executable, "-m", "farm", "stage", "build", "--json", "--store", "store", "--output", "out", name]
    done = subprocess.run([*command, *words], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    published = json.loads(done.stdout.splitlines()[-1])["published"]
    return {f"{one['stage']}.{o['format']}": o["sha256"] for one in published for o in one["outputs"]}


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A value file that names a tarball of the host's distribution, made once for both runs."""
    place = tmp_path_factory.mktemp("seed")
    (place / "stages").mkdir()
    (place / "stages" / "seed.yaml").write_text(SEED)
    digest = build(place, "seed")["seed.tar"]
    tarball = next((place / "out").rglob("seed-generic_64-seed-*.tar"))
    values = place / "values.yaml"
    values.write_text(f"seed: {{url: {tarball.as_uri()}, sha256: {digest}}}\n")
    return values


def test_two_runs_on_two_paths_give_the_same(tmp_path: Path, seed: Path) -> None:
    found = []
    for place in (tmp_path / "a", tmp_path / "another" / "longer place"):
        place.mkdir(parents=True)
        for folder in ("specs", "stages"):
            shutil.copytree(TOP / folder, place / folder, symlinks=True)
        found.append(build(place, "mini-stage3", "--values", str(seed)))
    assert set(found[0]) == {"mini-stage1.tar.zst", "mini-stage2.tar.zst", "mini-stage3.tar.xz", "mini-stage3.oci"}
    assert found[0] == found[1]
    _works(tmp_path / "a" / "out" / "mfs-mini" / "x86-64bit" / "generic_64" / "stage3-latest.tar.xz", tmp_path / "root")


def _works(tarball: Path, root: Path) -> None:
    """In a chroot of the unpacked tarball, with nothing mounted, a program is compiled and runs."""
    root.mkdir()
    subprocess.run(["tar", "-xpf", tarball, "--numeric-owner", "-C", root], check=True)
    program = '#include <stdio.h>\\nint main(void) { puts("made by tcc"); }\\n'
    script = f"cd /tmp && printf '{program}' >a.c && cc -o a a.c && ./a"
    out = subprocess.run(["chroot", root, "/bin/sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert out == "made by tcc\n"
