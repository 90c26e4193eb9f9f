# SPDX-License-Identifier: GPL-3.0-or-later
"""What is put beside an image, and that it is there together or not at all."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from farm.engine.look import Looker
from farm.engine.origin import Known
from farm.image.deliver import deliver
from farm.image.graph import image_node
from farm.image.model import Board
from farm.image.read import read_board
from farm.image.sbom import sbom
from farm.image.sums import verify_sums
from farm.plan.job import Fetch, FileInput, Job, Made, Pack
from farm.plan.node import Node, Plan, Result
from farm.spec.load import load
from farm.spec.problem import FarmError
from farm.store.store import Store

BOARD = """\
description: A board for tests
platform: linux/arm64
partitions: [{name: root, type: ext4, size: 60M, mount: /}]
kernel: {package: kernel/linux}
boot: {extlinux: {}}
root: {packages: [app/hello]}
outputs: [img]
"""
IMAGE = b"image" + bytes(3 << 20) + b"end"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as made:
        yield made


@pytest.fixture
def board(tmp_path: Path) -> Board:
    (tmp_path / "card.yaml").write_text(BOARD)
    return read_board(tmp_path / "card.yaml", {})


def layer(store: Store, files: dict[str, bytes]) -> str:
    """A layer with these files."""
    with store.scratch("test") as folder:
        for name, content in files.items():
            path = folder / "fs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return store.take_layer(folder / "fs").digest


def made_plan(store: Store, board: Board) -> Plan:
    """An image of a package of one source, everything made."""
    source = store.put_blob(b"source")
    fetch = Node(f"source:hello.tar:{source[:12]}", Fetch(source, ("https://example.org/hello.tar", "file:///h.tar")))
    job = Node("app/hello-1.0", Job(inputs=(FileInput("/s", Made(fetch.id, "blob")),)), "app/hello-1.0")
    pack = Node("app/hello-1.0:package", Pack((Made(job.id, "layer"),), "delta"), "app/hello-1.0")
    image = Node(image_node(board.name), Job(inputs=(FileInput("/p", Made(pack.id, "package")),)))
    plan = Plan({node.id: node for node in (fetch, job, pack, image)}, (image.id,))
    made = {
        job.id: Result(layer=layer(store, {"usr/bin/hello": b"hello"})),
        pack.id: Result(package=store.put_blob(b"package")),
        image.id: Result(layer=layer(store, {"image/card.img": IMAGE, "image/card.bmap": b"map"})),
    }
    looker = Looker(plan, store)
    for name in plan.nodes:
        (answer,) = looker.look([name])
        assert answer.ticket
        if name in made:
            store.record(answer.ticket.key, answer.ticket.document, made[name])
        looker.results[name] = made.get(name) or answer.result or Result()
    return plan


def test_bill_digests_and_image_fit_together(store: Store, board: Board, tmp_path: Path) -> None:
    plan = made_plan(store, board)
    known = Known(plan, store)
    tree = load([], [])

    def describe(of: Board, sha256: str) -> bytes:
        return sbom(of, image_node(of.name), known, tree, sha256)

    files = deliver(
        [board], known.results, store, tmp_path / "out", describe, lambda _content, comment: comment.encode()
    )
    assert sorted(f.file.name for f in files) == ["card.bmap", "card.img"]
    assert (tmp_path / "out/card.img").read_bytes() == IMAGE
    assert (tmp_path / "out/card.img").stat().st_blocks * 512 < 1 << 20
    subprocess.run(["sha256sum", "-c", "--strict", "card.sha256"], cwd=tmp_path / "out", check=True)
    subprocess.run(["sha512sum", "-c", "--strict", "card.sha512"], cwd=tmp_path / "out", check=True)
    assert verify_sums(tmp_path / "out/card.img", None)[1] == []
    assert (tmp_path / "out/card.sha256.minisig").read_bytes() == b"file:card.sha256"
    bill = json.loads((tmp_path / "out/card.cdx.json").read_bytes())
    component = bill["metadata"]["component"]
    assert component["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(IMAGE).hexdigest()}]
    parts = {part["bom-ref"]: part for part in bill["components"]}
    hello = parts.pop("app/hello-1.0")
    assert (hello["group"], hello["name"], hello["version"]) == ("app", "hello", "1.0")
    assert hello["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"package").hexdigest()}]
    (source,) = parts.values()
    assert source["name"] == "hello.tar"
    assert source["externalReferences"] == [{"type": "distribution", "url": "https://example.org/hello.tar"}]
    assert bill["dependencies"][0] == {"ref": "image/card", "dependsOn": ["app/hello-1.0"]}


def test_a_failure_leaves_the_old_image(store: Store, board: Board, tmp_path: Path) -> None:
    known = Known(made_plan(store, board), store)
    out = tmp_path / "out"
    out.mkdir()
    for name in ("card.img", "card.sha256"):
        (out / name).write_bytes(b"old")

    def describe(_board: Board, _sha256: str) -> bytes:
        raise OSError(28, "No space left on device")

    with pytest.raises(FarmError) as failure:
        deliver([board], known.results, store, out, describe)
    assert failure.value.code == "disk-full"
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {"card.img": b"old", "card.sha256": b"old"}
