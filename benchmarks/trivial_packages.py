# SPDX-License-Identifier: GPL-3.0-or-later
"""`farm build` of trivial packages with one worker, against bare ``unshare`` + overlay + ``chroot`` of each step.

Usage (as root, on a quiet machine): ``python benchmarks/trivial_packages.py [packages]``. Needs busybox-static. The
farm's time is that of the whole command: start-up, load, plan, run, layer, package, journal. Prints milliseconds
for each package and the ratio.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import job_overhead
from job_overhead import job_roots

from farm.plan.job import EPOCH
from farm.store.store import Store


def write_tree(tree: Path, root: Path, count: int) -> None:
    """``count`` packages of one step each."""
    digest = hashlib.sha256(root.read_bytes()).hexdigest()
    for number in range(count):
        folder = tree / f"p{number}"
        folder.mkdir(parents=True)
        (folder / "definition.yaml").write_text(f'category: app\nname: p{number}\nversion: "1.0"\n')
        (folder / "build.yaml").write_text(f"image: box\nsteps: [echo {number} >/made]\n")
    (tree / "farm.yaml").write_text(f"seeds: {{box: {{url: {root}, sha256: {digest}}}}}\n")


def main() -> None:
    """Measures and prints."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    program = job_roots.busybox()
    if program is None:
        sys.exit("needs busybox-static")
    with tempfile.TemporaryDirectory(prefix="farm-bench", dir="/var/tmp") as name:
        root, tree, store = Path(name, "root.tar"), Path(name, "tree"), Path(name, "store")
        root.write_bytes(job_roots.busybox_root(program).getvalue())
        write_tree(tree, root, count)
        with Store(store) as opened:
            lower = opened.layer_path(opened.import_layer(root, epoch=EPOCH).digest)
            bares = [job_overhead.bare(lower, Path(name, f"bare{n}"), f"echo {n} >/made") for n in range(count)]
        command = [sys.executable, "-m", "farm", "build", "--all", "-j", "1", "-t", str(tree), "--store", str(store)]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        took = time.perf_counter() - began
    print(f"bare {sum(bares) / count * 1000:6.1f} ms a step\nfarm {took / count * 1000:6.1f} ms a package")
    print(f"ratio {took / sum(bares):.2f}")


if __name__ == "__main__":
    main()
