# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit merge`` over 1 000 packages, as a ratio to ``git clone`` of the same kits and hashing their files.

Run: ``python benchmarks/kit_merge.py [PACKAGES]``. Three runs: *first* (nothing known: portage reads one ebuild of
each package), *new target* (metadata is known, everything is merged and pushed), *again* (nothing to do).
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests/kit"))

from git_server import git
from kit_tree import Tree

VERSIONS = 3
SPEC = """\
sources:
- {{name: core-kit, url: '{core}', branch: testing}}
target:
  name: app-kit
  url: '{app}'
  branch: mark-xl
  atoms:
{atoms}"""


def main() -> None:
    """Generates, measures, prints."""
    packages = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory(prefix="farm-kit-") as name:
        folder = Path(name)
        core, app = folder / "core-kit.git", folder / "app-kit.git"
        for repository in (core, app):
            subprocess.run(["git", "init", "-q", "--bare", "-b", "testing", str(repository)], check=True)
        generate(core, packages)
        atoms = "".join(f"  - pkg: dev-libs/p{number}\n" for number in range(packages))
        spec = folder / "app.yml"
        spec.write_text(SPEC.format(core=core, app=app, atoms=atoms))
        first = merge(folder, spec)
        git(app, "update-ref", "-d", "refs/heads/mark-xl")
        anew = merge(folder, spec)
        assert len(git(app, "ls-tree", "-r", "--name-only", "mark-xl").splitlines()) >= 2 * packages
        again = merge(folder, spec)
        baseline = min(clone_and_hash(folder, [core, app]) for _ in range(3))
        print(f"{packages} packages, {packages * VERSIONS} ebuilds in the source")
        print(f"git clone of both kits and sha512 of their files: {baseline:6.2f} s")
        for what, seconds in (("first (portage)", first), ("new target", anew), ("again", again)):
            print(f"merge, {what:16} {seconds:6.2f} s = {seconds / baseline:6.2f} times that")


def generate(repository: Path, packages: int) -> None:
    """A kit without an md5-cache, a commit for each version."""
    tree = Tree(cached=False)
    for version in range(VERSIONS):
        for number in range(packages):
            tree.add(f"dev-libs/p{number}", f"1.{version}")
        tree.commit(repository, "testing", f"version {version}", 1_700_000_000 + version)


def merge(folder: Path, spec: Path) -> float:
    """Seconds of one merge with a push."""
    command = [sys.executable, "-m", "farm", "kit", "merge", "--specfile", str(spec), "--push", "--verbose",
               "--store", str(folder / "store")]  # fmt: skip
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    print("  " + done.stderr.strip().splitlines()[-1])
    return time.perf_counter() - began


def clone_and_hash(folder: Path, repositories: list[Path]) -> float:
    """Seconds of what no merge can do without."""
    began = time.perf_counter()
    for number, repository in enumerate(repositories):
        clone = folder / f"clone{number}"
        branch = "testing" if number == 0 else "mark-xl"
        words = ["git", "clone", "-q", "--no-local", "-b", branch, str(repository), str(clone)]
        subprocess.run(words, check=True)
        for file in clone.rglob("*"):
            if file.is_file() and ".git" not in file.parts:
                hashlib.sha512(file.read_bytes()).hexdigest()
        shutil.rmtree(clone)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
