# SPDX-License-Identifier: GPL-3.0-or-later
"""Making and reading a wagon of 3 246 packages with 150 files each, beside tar, zstd and a YAML reader on it.

python benchmarks/wagon.py [FOLDER]     the data is made in FOLDER, by default in a temporary one

``tar | zstd`` packs the very files that are in the wagon's tree. "Reading" is what any tool has to do
before that: load the spec tree, and read each package's metadata (here: all of it) and tarball (for its digest). Each
row is a process of its own, best of three.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PACKAGES, FILES = 3246, 150

CREATE = """
from pathlib import Path
from farm.spec.load import load
from farm.wagon.create import Request, create_wagon
root = Path({root!r})
tree = load([root / "tree"], cache=root / "cache")
created = create_wagon(Request(tree, root / "packages", root / {output!r}, name="bench", keep=2, description={words!r},
                               cache=root / "digests.json"))
assert len(created.packages) == {packages}
"""
READ = """
from pathlib import Path
from farm.wagon.reading import open_wagon
assert len(open_wagon(Path({root!r}) / "packages").packages) == {packages}
"""
READING = """
import hashlib
from pathlib import Path
from farm.spec.load import load
from farm.wagon.metadata import read_metadata
root = Path({root!r})
load([root / "tree"], cache=root / "cache")
for path in sorted((root / "packages").glob("*.metadata.yaml")):
    read_metadata(path)
for path in sorted((root / "packages").glob("*.tar.zst")):
    hashlib.sha256(path.read_bytes())
"""
YAML = """
import yaml
from pathlib import Path
for path in sorted(Path({root!r}, "packages").glob("*.metadata.yaml"))[::20]:
    yaml.load(path.read_bytes(), yaml.CSafeLoader)
"""


def make(root: Path) -> None:
    """The tree and the packages."""
    import zstandard

    from farm.wagon.metadata import Metadata

    tarball = zstandard.compress(bytes(1024))
    (root / "packages").mkdir(parents=True)
    for number in range(PACKAGES):
        category, name, version = f"cat{number % 100}", f"package-{number}", f"1.{number}"
        definition: dict[str, Any] = {
            "name": name,
            "version": version,
            "category": category,
            "description": f"Package {number}",
        }
        definition |= {"labels": {"kit": "core-kit", "emerge.packages": f"{category}/{name}"}, "license": "GPL-2"}
        definition["requires"] = [
            {"name": f"package-{other}", "version": ">=0", "category": f"cat{other % 100}"}
            for other in (number // 2, number // 3)
        ]
        definition["annotations"] = {"subsets": {"rules": {"devel": ["^/usr/include"], "doc": ["^/usr/share/doc"]}}}
        folder = root / "tree" / category / name
        folder.mkdir(parents=True)
        (folder / "definition.yaml").write_text(json.dumps(definition))
        files = tuple(f"usr/share/{name}/data/file-{file:04}.dat" for file in range(FILES))
        digests = {path: hashlib.sha256(f"{name}/{path}".encode()).hexdigest() for path in files}
        fingerprint = f"{name}-{category}-{version}"
        path = f"{fingerprint}.package.tar.zst"
        farm = {"size": len(tarball), "installed_size": 1 << 20, "digests": digests}
        sums = {"sha256": hashlib.sha256(tarball).hexdigest()}
        metadata = Metadata(path, sums, "zstd", files, definition, {"package": definition}, farm)
        (root / "packages" / path).write_bytes(tarball)
        (root / "packages" / f"{fingerprint}.metadata.yaml").write_bytes(metadata.to_yaml())


def measure(command: list[str]) -> tuple[float, float, int]:
    """Wall and CPU seconds, and peak memory in bytes, of a process."""
    before = os.times()
    with subprocess.Popen(command, cwd=Path(__file__).parent.parent) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return os.times().elapsed - before.elapsed, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10


def best(title: str, command: list[str], times: int = 3) -> tuple[float, float]:
    """Prints a row, and gives wall and CPU seconds."""
    runs = [measure(command) for _ in range(times)]
    wall, cpu, memory = min(run[0] for run in runs), min(run[1] for run in runs), max(run[2] for run in runs)
    print(f"{title:48} {wall:6.2f} s wall {cpu:6.2f} s CPU {memory / (1 << 20):6.0f} MiB")
    return wall, cpu


def python(code: str, root: Path, **values: str) -> list[str]:
    """A Python process."""
    return [sys.executable, "-c", code.format(root=str(root), packages=PACKAGES, **values)]


def main(root: Path) -> None:
    """Prints a table."""
    if not (root / "packages").exists():
        make(root)
    first = measure(python(CREATE, root, output="packages", words="0"))
    print(f"{'create, nothing cached':48} {first[0]:6.2f} s wall {first[1]:6.2f} s CPU {first[2] / (1 << 20):6.0f} MiB")
    tree = next((root / "packages").glob("tree-*"))
    unpacked = root / "unpacked"
    unpacked.mkdir(exist_ok=True)
    subprocess.run(["tar", "--zstd", "-xf", str(tree), "-C", str(unpacked)], check=True)
    pack = best("tar | zstd of the tree", ["sh", "-c", f"tar -C {unpacked} -cf - . | zstd -3 -c >{root}/tar.zst"])
    read = best("reading tree, metadata and tarballs", python(READING, root))
    words = iter(range(1, 100))
    runs = [measure(python(CREATE, root, output="packages", words=str(next(words)))) for _ in range(3)]
    wall, cpu, memory = min(run[0] for run in runs), min(run[1] for run in runs), max(run[2] for run in runs)
    print(f"{'bump, every revision new':48} {wall:6.2f} s wall {cpu:6.2f} s CPU {memory / (1 << 20):6.0f} MiB")
    best("bump, nothing changed", python(CREATE, root, output="packages", words="3"))
    best("reading the wagon", python(READ, root))
    loader = best("libyaml reading 1 of 20 metadata files", python(YAML, root))
    print(f"all of them would take {loader[1] * 20:.0f} s")
    print(f"bump / (tar | zstd + reading): {wall / (pack[0] + read[0]):.2f} wall, {cpu / (pack[1] + read[1]):.2f} CPU")
    print(f"tree: {tree.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
