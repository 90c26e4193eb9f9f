# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU seconds of what `farm bump` works out for a large tree, beside loading the tree (which any command has to do).

python benchmarks/synthetic_tree.py DIR
python benchmarks/bump.py DIR/packages DIR/values/amd64.yaml

Given: a wagon that has all of the tree. "nothing": no news. "100 new": 100 packages get a version, and all that is
built upon them the next build: files are copied, edited, loaded again and compared, the diff is made. Nothing is built.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

ONE_RUN = """
import json, sys, tempfile, threading, time
from pathlib import Path
from farm.bump.pins import Fetcher
from farm.bump.prepare import Wanted, prepare
from farm.bump.upstream import named
from farm.spec.load import load
from farm.spec.specdigest import spec_digest
tree, values, cache, count = *map(Path, sys.argv[1:4]), int(sys.argv[4])
load([tree], [values], cache=cache)
start = time.process_time()
first = load([tree], [values], cache=cache)
loaded = time.process_time()
base = {id: spec_digest(package) for id, package in first.packages.items()}
wanted = [id for id in sorted(first.packages)][:: max(1, len(first.packages) // max(1, count))][:count]
raises = named(first, {id.atom: "20300101" for id in wanted})
begin = time.process_time()
with tempfile.TemporaryDirectory() as scratch:
    made = prepare(
        Wanted(raises, base, "all"),
        lambda staged: load([tree], [values], cache=cache, staged=staged) if staged else first,
        Fetcher(None, threading.Event()),
        Path(scratch),
    )
    lines = made.changes.diff().count("\\n")
done = time.process_time()
print(json.dumps({"packages": len(first.packages), "load": loaded - start, "prepare": done - begin,
                  "moves": len(made.moves), "lines": lines}))
"""


def run(tree: str, values: str, cache: str, count: int) -> dict[str, float]:
    """The best of three runs, each a process of its own."""
    runs = []
    for _ in range(3):
        command = [sys.executable, "-c", ONE_RUN, tree, values, cache, str(count)]
        runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    return min(runs, key=lambda found: found["prepare"])


def main() -> None:
    """Prints both rows."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory() as cache:
        for name, count in (("nothing", 0), ("100 new", 100)):
            found = run(*sys.argv[1:], cache, count)
            ratio = found["prepare"] / found["load"]
            print(
                f"{name}: {found['packages']:.0f} packages, {found['moves']:.0f} move: {found['prepare']:.2f} s,"
                f" {ratio:.1f} of loading the tree from its cache ({found['load']:.2f} s)"
            )


if __name__ == "__main__":
    main()
