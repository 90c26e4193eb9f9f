# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU time of the command line on a tree of the real one's size and shape: load, lint, resolve, plan of all targets.

Usage: ``python benchmarks/whole_tree.py [packages]``. Each figure is the user and system time of one whole command,
start-up included, and its ratio to reading the tree's YAML files with PyYAML's C loader in the same run.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_READ = """
import pathlib, sys, yaml
for path in pathlib.Path(sys.argv[1]).rglob("definition.yaml"):
    yaml.load(path.read_bytes(), yaml.CSafeLoader)
"""


def cpu(*command: str) -> float:
    """Seconds of CPU that a command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measures and prints."""
    packages = sys.argv[1] if len(sys.argv) > 1 else "3000"
    with tempfile.TemporaryDirectory(prefix="farm-bench") as name:
        tree = Path(name, "tree")
        subprocess.run([sys.executable, _HERE / "synthetic_tree.py", "--packages", packages, tree], check=True)
        words = ["--tree", str(tree / "packages"), "--values", str(tree / "values" / "amd64.yaml"), "--store"]
        plan = ["-m", "farm", "plan", "--all", "--runner", "docker", *words, f"{name}/store"]
        lint = ["-m", "farm", "lint", *words, f"{name}/store"]
        yardstick = cpu("-c", _READ, str(tree / "packages"))
        print(f"{'definition.yaml read with PyYAML':38} {yardstick:6.2f} s")
        cold_lint = cpu("-m", "farm", "lint", *words, f"{name}/other-store")
        for label, seconds in (
            ("farm lint, cold", cold_lint),
            ("farm plan --all, cold", cpu(*plan)),
            ("farm plan --all, parsed-tree cache", cpu(*plan)),
            ("farm lint, parsed-tree cache", cpu(*lint)),
            ("farm --help", cpu("-m", "farm", "--help")),
        ):
            print(f"{label:38} {seconds:6.2f} s  ratio {seconds / yardstick:5.2f}")


if __name__ == "__main__":
    main()
