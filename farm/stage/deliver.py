# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts one output into a folder, with all that belongs beside it. Each file is there whole, or not at all.

A file that is there with the right bytes stays as it is, so that doing it again after a crash costs only reading.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from farm.plan.node import Result
from farm.stage.model import Output
from farm.store.ociimage import LAYOUT, REF_NAME, image_index
from farm.store.outputs import ALGORITHMS, PART, Digests, digests_of, put_blob, put_bytes, told
from farm.store.removal import remove_tree
from farm.store.signature import SecretKey, sign_digest

if TYPE_CHECKING:
    from farm.store.store import Store

BESIDE = (".sha256", ".sha512", ".CONTENTS.gz", ".cdx.json", ".minisig")
"""What the names of the files beside an output end in. ``.minisig`` only where there is a key."""


@dataclasses.dataclass(frozen=True, slots=True)
class Delivered:
    """An output that is in place. The digests are those of the file; of an OCI layout, of its ``index.json``."""

    file: Path
    format: str
    size: int
    sha256: str
    sha512: str

    def to_json(self) -> dict[str, object]:
        """Plain data, without the folder."""
        return {**dataclasses.asdict(self), "file": self.file.name}


def put_output(
    output: Output,
    made: Mapping[str, Result],
    store: Store,
    file: Path,
    bill: Callable[[str, str], bytes],
    key: SecretKey | None,
) -> Delivered:
    """Puts an output at ``file``. ``made``: results by the names that `PlannedStage.outputs` has.

    ``bill`` gives the bill of materials for a file's name and sha256. FarmError ``not-delivered``, ``disk-full``,
    ``damaged-blob``.
    """
    with told(file):
        if output.format == "oci":
            digests, lines = _put_layout(made, store, file)
        else:
            digests = put_blob(store, str(made["content"].blob), file)
            lines = {kind: digests.line(kind, file.name) for kind in ALGORITHMS}
        for name, text in lines.items():
            put_bytes(beside(file, f".{name}"), text.encode())
        put_blob(store, str(made["contents"].blob), beside(file, ".CONTENTS.gz"))
        put_bytes(beside(file, ".cdx.json"), bill(file.name, digests.sha256))
        if key:
            comment = f"file:{file.name} sha256:{digests.sha256}"
            put_bytes(beside(file, ".minisig"), sign_digest(digests.blake2b, key, comment))
    return Delivered(file, output.format, digests.size, digests.sha256, digests.sha512)


def beside(file: Path, end: str) -> Path:
    """The file beside an output whose name ends in ``end``."""
    return file.with_name(f"{file.name}{end}")


def _put_layout(made: Mapping[str, Result], store: Store, folder: Path) -> tuple[Digests, dict[str, str]]:
    """An OCI layout appears by one rename. What is there of an earlier try, and is not the same, goes."""
    documents = json.loads(store.blob_path(str(made["image"].blob)).read_bytes())
    entry = {**documents["manifest"], "annotations": {REF_NAME: "latest"}}
    texts = {
        "index.json": _text(image_index([entry])),
        "oci-layout": _text(LAYOUT),
        **{f"blobs/sha256/{digest}": text for digest, text in documents["blobs"].items()},
    }
    layer = f"blobs/sha256/{made['content'].blob}"
    if not _is_layout(folder, texts, layer):
        part = folder.with_name(f".{folder.name}{PART}")
        remove_tree(part)
        (part / "blobs" / "sha256").mkdir(parents=True)
        for name, text in texts.items():
            (part / name).write_text(text)
        put_blob(store, str(made["content"].blob), part / layer)
        remove_tree(folder)
        part.rename(folder)
    listed = {name: digests_of(folder / name) for name in sorted([*texts, layer])}
    size = sum(one.size for one in listed.values())
    lines = {
        kind: "".join(one.line(kind, f"{folder.name}/{name}") for name, one in listed.items()) for kind in ALGORITHMS
    }
    return dataclasses.replace(listed["index.json"], size=size), lines


def _is_layout(folder: Path, texts: Mapping[str, str], layer: str) -> bool:
    try:
        same = all((folder / name).read_text() == text for name, text in texts.items())
        return same and digests_of(folder / layer).sha256 == layer.rpartition("/")[2]
    except (OSError, ValueError):
        return False


def _text(document: object) -> str:
    return json.dumps(document, sort_keys=True, indent=1) + "\n"
