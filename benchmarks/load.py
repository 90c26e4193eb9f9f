# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU seconds of loading and linting a tree, each in its own process: cold (nothing kept) and with the cache.

python benchmarks/synthetic_tree.py DIR
python benchmarks/load.py DIR/packages DIR/values/amd64.yaml
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ONE_RUN = """
import json, sys, time
from pathlib import Path
start = time.process_time()
from farm.spec.load import load
from farm.spec.lint import lint
imported = time.process_time()
tree, values, cache = map(Path, sys.argv[1:])
loaded_tree = load([tree], [values], cache=cache)
loaded = time.process_time()
problems = lint(loaded_tree)
linted = time.process_time()
print(json.dumps({"import": imported - start, "load": loaded - imported, "lint": linted - loaded,
                  "packages": len(loaded_tree.packages), "problems": len(loaded_tree.problems) + len(problems)}))
"""


def run(tree: str, values: str, cache: str) -> dict[str, float]:
    """One process's times."""
    command = [sys.executable, "-c", ONE_RUN, tree, values, cache]
    output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    times: dict[str, float] = json.loads(output.stdout)
    return times


def main() -> None:
    """Prints a table: best of three for each row."""
    tree, values = sys.argv[1:3]
    rows: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
    for _ in range(3):
        with tempfile.TemporaryDirectory() as cache:
            rows["cold"].append(run(tree, values, cache))
            rows["warm"].append(run(tree, values, cache))
    for name, times in rows.items():
        best = {key: min(time[key] for time in times) for key in times[0]}
        shown = "  ".join(f"{key} {best[key]:.2f} s" for key in ("import", "load", "lint"))
        print(f"{name}: {shown}  ({best['packages']:.0f} packages, {best['problems']:.0f} problems)")


if __name__ == "__main__":
    main()
