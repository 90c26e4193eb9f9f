# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes an SD card image inside a job: ``python3 -m farm.image.inside.write board.json``.

The working directory holds ``board.json`` (farm/image/graph.py), ``root.tar.zst`` and the packages' tarballs. All that
can be wrong with the board is found before the image is begun. What is written is ``/image/NAME.img`` and
``/image/NAME.bmap``; the card's size is the file's, and what nobody wrote is a hole.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from farm.image.inside import bmap, table
from farm.image.inside.content import Content
from farm.image.inside.filesystems import write_ext4, write_fat
from farm.image.inside.holes import BLOCK
from farm.image.inside.packages import Packages
from farm.image.inside.report import Findings
from farm.image.inside.roottar import Root

Plan = dict[str, Any]


def main(words: list[str]) -> None:
    """The program."""
    plan: Plan = json.loads(Path(words[0]).read_text())
    os.environ.update(SOURCE_DATE_EPOCH=str(plan["epoch"]), TZ="UTC", LC_ALL="C.UTF-8", MTOOLS_SKIP_CHECK="1")
    subprocess.run(["zstd", "-q", "-d", "-f", "root.tar.zst", "-o", "root.tar"], check=True)
    root, findings = Root(Path("root.tar")), Findings()
    content = Content(plan, root, Packages(plan, Path()), findings)
    content.gather()
    findings.stop_if_any()
    image = Path("/image") / f"{plan['name']}.img"
    image.parent.mkdir(exist_ok=True)
    with open(image, "wb") as out:
        out.truncate(plan["size"])
        write_table(plan, out.fileno())
        for offset, data in content.loaders:
            os.pwrite(out.fileno(), data, offset)
    for part in plan["partitions"]:
        if part["type"] == "fat":
            write_fat(image, part, content.fat.get(part["name"], {}), findings, plan["epoch"])
        elif part["type"] == "ext4":
            write_ext4(image, part, content.archives(part), content.files(part), findings, plan)
        findings.stop_if_any()
    write_map(plan, image)


def write_table(plan: Plan, out: int) -> None:
    """Writes the partition table."""
    parts = [
        table.Entry(
            part["type"],
            part["start"] // table.SECTOR,
            part["size"] // table.SECTOR,
            part["name"],
            part["bootable"],
            part["uuid"],
        )
        for part in plan["partitions"]
    ]
    if not plan["gpt"]:
        os.pwrite(out, table.mbr(parts, int(plan["disk_id"][:8], 16)), 0)
        return
    for sector, data in table.gpt(parts, plan["disk_id"], plan["size"] // table.SECTOR, plan["table_length"]):
        os.pwrite(out, data, sector * table.SECTOR)


def write_map(plan: Plan, image: Path) -> None:
    """Writes the bmap file beside the image."""
    with open(image, "rb") as file:
        ranges = bmap.mapped(file.fileno(), plan["size"], _used(plan, file.fileno()))
        image.with_suffix(".bmap").write_bytes(bmap.document(file.fileno(), plan["size"], ranges))
    blocks = sum(last - first + 1 for first, last in ranges)
    print(f"{image.name}: {plan['size'] >> 20} MiB, {blocks * BLOCK >> 20} MiB in use", flush=True)


def _used(plan: Plan, image: int) -> Iterator[tuple[int, int]]:
    for part in plan["partitions"]:
        if part["type"] == "ext4":
            yield from bmap.ext4_used(image, part["start"])
        elif part["type"] == "fat":
            yield from bmap.fat_used(image, part["start"], part["size"])


if __name__ == "__main__":
    main(sys.argv[1:])
