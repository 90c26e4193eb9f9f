# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes small file trees for tests, and describes trees so that they can be compared."""

from __future__ import annotations

import contextlib
import os
import random
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from farm.store.entry import examine
from farm.store.store import Store

Value = str | bytes | None | int | tuple[str, ...]


def write_tree(root: Path, files: Mapping[str, Value], mtime: int = 1000) -> Path:
    """Fills ``root``: text is a file, None a folder, ("link", target), ("hard", path), ("whiteout",), ("fifo",), …"""
    root.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(root, path, value)
    for folder, names, others in os.walk(root, topdown=False):
        for name in names + others:
            os.utime(Path(folder) / name, (mtime, mtime), follow_symlinks=False)
    return root


def _write(root: Path, path: Path, value: Value) -> None:
    match value:
        case None:
            path.mkdir(exist_ok=True)
        case ("link", target):
            path.symlink_to(str(target))
        case ("hard", target):
            path.hardlink_to(root / str(target))
        case ("whiteout",):
            os.mknod(path, stat.S_IFCHR, 0)
        case ("fifo",):
            os.mkfifo(path)
        case ("opaque",):
            path.mkdir(exist_ok=True)
            os.setxattr(path, "user.overlay.opaque", b"y")
        case bytes():
            path.write_bytes(value)
        case _:
            path.write_text(str(value))


def commit(store: Store, files: Mapping[str, Value], lowers: Sequence[str] = (), **options: object) -> str:
    """The digest of a layer with these files."""
    with store.scratch("test") as folder:
        upper = write_tree(folder / "upper", files)
        paths = [store.layer_path(digest) for digest in lowers]
        return store.commit_layer(upper, paths, **options).digest  # type: ignore[arg-type]


def describe(root: Path, *, times: bool = True) -> dict[str, tuple[object, ...]]:
    """Everything of a tree that matters, by path."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, names, others in os.walk(root):
        for name in names + others:
            path = f"{folder}/{name}"
            entry = examine(os.fsencode(path), b"")
            assert entry is not None
            content = Path(path).read_bytes() if entry.kind == b"0" else b""
            key = os.path.relpath(path, root)
            found[key] = (
                entry.kind,
                oct(entry.mode),
                entry.uid,
                entry.gid,
                entry.link,
                entry.rdev,
                tuple(entry.xattrs.items()),
                content,
                entry.mtime if times else 0,
            )
    return found


def layer(store: Store, digest: str) -> dict[str, tuple[object, ...]]:
    """`describe` of a layer."""
    return describe(store.layer_path(digest))


@contextlib.contextmanager
def mounted(lowers: Sequence[Path], work: Path) -> Iterator[tuple[Path, Path]]:
    """A real overlay of ``lowers`` (lowest first); yields the merged root and the upper directory. Needs root."""
    merged, upper, inner = (work / name for name in ("merged", "upper", "work"))
    for path in (merged, upper, inner):
        path.mkdir(parents=True)
    below = ":".join(str(path) for path in reversed(lowers))
    options = f"lowerdir={below},upperdir={upper},workdir={inner},userxattr"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, merged], check=True)
    try:
        yield merged, upper
    finally:
        subprocess.run(["umount", merged], check=True)


def scramble(root: Path, seed: int, steps: int = 60) -> None:
    """Changes a tree at random, but in the same way for the same seed and content."""
    dice = random.Random(seed)
    for step in range(steps):
        folders = sorted(Path(path) for path, _, _ in os.walk(root))
        files = sorted(Path(path) / name for path, _, names in os.walk(root) for name in names)
        folder = dice.choice(folders)
        action = dice.choice(["file", "file", "folder", "link", "remove", "tree", "mode", "move", "hard", "same"])
        with contextlib.suppress(FileExistsError, IsADirectoryError, NotADirectoryError):
            _change(dice, action, folder, folders[1:], files, step)


def _change(dice: random.Random, action: str, folder: Path, folders: list[Path], files: list[Path], step: int) -> None:
    name = folder / dice.choice("abcdefgh")
    target = dice.choice(files) if files else None
    match action:
        case "file" if not name.is_symlink():
            name.write_text(f"content {dice.random()}")
        case "folder":
            name.mkdir()
        case "link":
            name.symlink_to(dice.choice("abc"))
        case "remove" if target:
            target.unlink()
        case "tree" if folders:
            subprocess.run(["rm", "-rf", dice.choice(folders)], check=True)
        case "mode" if target and not target.is_symlink():
            target.chmod(dice.choice([0o644, 0o755, 0o4755]))
        case "move" if target and not name.exists():
            target.rename(name)
        case "hard" if target and not target.is_symlink():
            name.hardlink_to(target)
        case "same" if target and not target.is_symlink():
            target.write_bytes(target.read_bytes())
        case _:
            return
