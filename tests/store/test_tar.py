# SPDX-License-Identifier: GPL-3.0-or-later
"""The tar writer and reader against Python's tarfile and GNU tar."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.spec.problem import FarmError
from farm.store.entry import FILE, FOLDER, HARDLINK, SYMLINK, Entry
from farm.store.tarreader import TarReader
from farm.store.tarwriter import END, header, write_tar

names = st.lists(
    st.binary(min_size=1, max_size=120).filter(lambda b: b"/" not in b and b"\0" not in b and b not in (b".", b"..")),
    min_size=1,
    max_size=4,
).map(b"/".join)


def entry(path: bytes, kind: bytes = FILE, **fields: object) -> Entry:
    made = Entry(path, kind)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def written(*entries: Entry) -> bytes:
    out = io.BytesIO()
    write_tar(entries, out.write)
    return out.getvalue()


@given(
    path=names,
    link=names,
    numbers=st.tuples(*[st.integers(0, 2**40)] * 3),
    attributes=st.dictionaries(st.text("abc.=%é", min_size=1).map(lambda s: "user." + s), st.binary(), max_size=3),
)
def test_reads_what_it_wrote(path: bytes, link: bytes, numbers: tuple[int, ...], attributes: dict[str, bytes]) -> None:
    uid, gid, mtime = numbers
    given_entry = entry(path, SYMLINK, link=link, uid=uid, gid=gid, mtime=mtime, xattrs=attributes, mode=0o777)
    (got,) = TarReader([written(given_entry)])
    fields = ("path", "kind", "link", "uid", "gid", "mtime", "mode", "xattrs")
    assert [getattr(got, f) for f in fields] == [getattr(given_entry, f) for f in fields]


@given(path=names, size=st.integers(0, 2**36))
def test_python_reads_it(path: bytes, size: int) -> None:
    block = header(entry(path, HARDLINK, link=path, uid=3000000, mode=0o4755)) + END
    with tarfile.open(fileobj=io.BytesIO(block), errors="surrogateescape") as file:
        (member,) = file.getmembers()
    assert os.fsencode(member.name) == path.rstrip(b"/")
    assert os.fsencode(member.linkname) == path
    assert (member.uid, member.mode, member.type) == (3000000, 0o4755, b"1")


def test_ordinary_header_is_exact_ustar() -> None:
    block = header(entry(b"usr/bin", FOLDER, mode=0o1755, mtime=1700000000, uid=33, gid=44))
    info = tarfile.TarInfo("usr/bin")
    info.type, info.mode, info.mtime, info.uid, info.gid = tarfile.DIRTYPE, 0o1755, 1700000000, 33, 44
    expected = info.tobuf(tarfile.USTAR_FORMAT)
    assert (block[:148], block[156:329]) == (expected[:148], expected[156:329])


@pytest.mark.parametrize("form", ["v7", "ustar", "oldgnu", "gnu", "pax"])
def test_reads_gnu_tar(tmp_path: Path, form: str) -> None:
    tree = tmp_path / "tree"
    (tree / "a").mkdir(parents=True)
    (tree / "a/file").write_bytes(b"x" * 1000)
    (tree / "a/hard").hardlink_to(tree / "a/file")
    (tree / "a/link").symlink_to("file")
    if form not in ("v7", "ustar"):
        (tree / ("d" * 90) / ("e" * 120)).mkdir(parents=True)
    subprocess.run(["tar", f"--format={form}", "--sort=name", "-C", tree, "-cf", tmp_path / "t.tar", "."], check=True)
    reader = TarReader([(tmp_path / "t.tar").read_bytes()])
    found = {}
    for item in reader:
        found[item.path.rstrip(b"/")] = item.kind, item.link, b"".join(reader.content())
    assert found[b"./a/file"] == (FILE, b"", b"x" * 1000)
    assert found[b"./a/hard"] == (HARDLINK, b"./a/file", b"")
    assert found[b"./a/link"][:2] == (SYMLINK, b"file")
    expected = subprocess.run(["tar", "-tf", tmp_path / "t.tar"], capture_output=True, check=True).stdout
    assert sorted(found) == sorted(name.rstrip(b"/") for name in expected.splitlines())


@pytest.mark.parametrize(
    "options", [["--format=gnu"], *(["--format=pax", f"--sparse-version={v}"] for v in ("0.0", "0.1", "1.0"))]
)
def test_reads_sparse_files(tmp_path: Path, options: list[str]) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        for at in range(1, 12):
            file.seek(at * 200_000)
            file.write(b"data%d" % at)
        file.truncate(3_000_000)
    subprocess.run(["tar", "-S", *options, "-C", tmp_path, "-cf", tmp_path / "t.tar", "sparse"], check=True)
    reader = TarReader([(tmp_path / "t.tar").read_bytes()])
    for item in reader:
        assert (item.path, item.size) == (b"sparse", 3_000_000)
        assert b"".join(reader.content()) == (tmp_path / "sparse").read_bytes()


def test_gnu_tar_unpacks_it(tmp_path: Path) -> None:
    deep = b"/".join([b"\xff\xfe name", b"y" * 200, b"z" * 200])
    (tmp_path / "t.tar").write_bytes(written(entry(deep, SYMLINK, link=b"\xe9" * 120), entry(b"b/c", FOLDER)))
    subprocess.run(["tar", "-C", tmp_path, "-xf", tmp_path / "t.tar"], check=True)
    assert os.fsencode((tmp_path / os.fsdecode(deep)).readlink()) == b"\xe9" * 120


@pytest.mark.parametrize("damage", [b"", b"\0" * 100 + b"x" * 412, END[:600], b"not a tar at all" * 100])
def test_damage_is_found(damage: bytes) -> None:
    whole = header(entry(b"a", FILE, size=1000))
    data = damage if damage != END[:600] else whole + END[:600]
    reader = TarReader([data])
    with pytest.raises(FarmError) as caught:
        for _ in reader:
            b"".join(reader.content())
    assert caught.value.code == "bad-archive"


def test_pieces_of_any_size() -> None:
    data = written(entry(b"x" * 150, SYMLINK, link=b"y"), entry(b"z", FOLDER))
    for size in (1, 7, 512, 5000):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert [item.path.rstrip(b"/") for item in TarReader(pieces)] == [b"x" * 150, b"z"]
