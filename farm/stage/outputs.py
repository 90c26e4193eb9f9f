# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes of what a root is given out as, and what they read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

from farm.plan.job import Made, Work
from farm.plan.node import Node
from farm.plan.recipe import NodeSet
from farm.spec.platform import MACHINES
from farm.stage.model import Format, Output, Stage
from farm.store.compress import Compression

ARCHIVE, CONTENTS, IMAGE = "stage-archive", "stage-contents", "stage-image"
"""Names of makers (farm/stage/makers.py)."""

COMPRESSION: Mapping[Format, Compression] = {
    "tar": "none",
    "tar.gz": "gzip",
    "tar.xz": "xz",
    "tar.zst": "zstd",
    "oci": "gzip",
    "lxd": "xz",
}
LEVELS: Mapping[Format, int] = {"tar": 0, "tar.gz": 6, "tar.xz": 6, "tar.zst": 9, "oci": 6, "lxd": 6}
"""What an output is compressed with where it does not say. Weighed in docs/stages.md."""


def machine(platform: str) -> str:
    """What ``uname -m`` says on a platform, which LXD takes."""
    known = MACHINES.get(platform)
    return known.uname if known else platform.split("/")[1]


def output_nodes(stage: Stage, output: Output, root: tuple[Made, ...], nodes: NodeSet) -> dict[str, str]:
    """Adds the nodes of an output; their ids by what they make: ``content``, ``contents`` and ``image``."""
    shape = _shape(stage, output)
    name = f"{stage.name}:{output.format}"
    level = LEVELS[output.format] if output.level is None else output.level
    packed = (*shape, ("compression", COMPRESSION[output.format]), ("level", str(level)))
    content = nodes.add(Node(name, Work(ARCHIVE, root, settings=packed)))
    made = {"content": content}
    made["contents"] = nodes.add(Node(f"{name}:contents", Work(CONTENTS, root, settings=shape)))
    if output.format == "oci":
        settings = (("platform", stage.platform), ("epoch", str(stage.epoch)), ("env", _env(stage)))
        image = Work(IMAGE, blobs=(Made(content, "blob"),), settings=settings)
        made["image"] = nodes.add(Node(f"{name}:image", image))
    return made


def _shape(stage: Stage, output: Output) -> tuple[tuple[str, str], ...]:
    """What decides which entries a tarball has."""
    shape = [("epoch", str(stage.epoch)), ("excludes", json.dumps(stage.excludes))]
    if output.format == "lxd":
        shape.append(("lxd", json.dumps(_lxd(stage), sort_keys=True)))
    return tuple(shape)


def _lxd(stage: Stage) -> dict[str, object]:
    """``metadata.yaml`` of an LXD image (LXD's doc/reference/image_format.md). The time is the stage's, not today's."""
    release = dataclasses.asdict(stage.release)
    properties = {
        "architecture": machine(stage.platform),
        "description": stage.description or f"{release['target']} {release['build']} {release['subarch']}",
        "name": f"{release['target']}-{release['subarch']}-{release['build']}",
        "os": release["build"],
        "release": release["target"],
        "variant": release["subarch"],
    }
    return {
        "architecture": machine(stage.platform),
        "creation_date": stage.epoch,
        "properties": properties,
        "templates": {
            "/etc/hostname": {"when": ["create", "copy"], "template": "hostname.tpl"},
        },
    }


def _env(stage: Stage) -> str:
    return json.dumps([[key, value] for key, value in stage.environment])
