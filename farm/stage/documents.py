# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written about a stage: ``build-info.json``, and a bill of materials for each output (CycloneDX 1.5).

There is no time, host or run in them: the same stage has the same documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from farm.engine.origin import Known, Material
from farm.engine.sbom import Part, Product, product_sbom
from farm.plan.job import Digest
from farm.plan.node import key_of
from farm.stage.deliver import Delivered
from farm.stage.model import (
    ArchiveSeed,
    DebootstrapSeed,
    DockerSeed,
    EmptySeed,
    OciSeed,
    Seed,
    StageSeed,
    WagonSeed,
)
from farm.stage.outputs import machine

if TYPE_CHECKING:
    from farm.stage.plan import PlannedStage

FORMAT = 1
_FLAGS = ("CHOST", "CBUILD", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CPU_FLAGS_X86", "MAKEOPTS", "USE")


def build_info(
    planned: PlannedStage, known: Known, version: str, outputs: Sequence[Delivered], signed_by: str
) -> dict[str, Any]:
    """What the stage is and what it was made of. ``signed_by``: a key's id, or nothing."""
    stage, release = planned.stage, planned.stage.release
    environment = dict(stage.environment)
    return {
        "format": FORMAT,
        "stage": stage.name,
        "description": stage.description,
        "target": release.target,
        "build": release.build,
        "arch": release.arch,
        "subarch": release.subarch,
        "version": version,
        "platform": stage.platform,
        "ARCH": machine(stage.platform),
        **{name: environment[name] for name in _FLAGS if name in environment},
        "key": stage_key(planned, known),
        "seed": {"kind": _kind(stage.seed), "name": _name(stage.seed), "layers": _layers(planned, known)},
        "packages": dict(sorted(_packages(planned, known))),
        "outputs": [one.to_json() for one in outputs],
        **({"signed-by": signed_by} if signed_by else {}),
    }


def stage_key(planned: PlannedStage, known: Known) -> Digest:
    """One digest of all outputs, however they came about: equal keys mean equal stages."""
    made = {
        output.format: {name: known.results[node].blob for name, node in nodes.items()}
        for output, nodes in planned.outputs
    }
    return key_of({"outputs": made})


def bill(planned: PlannedStage, known: Known, file: str, sha256: str) -> bytes:
    """The bill of materials of an output: its packages, and what they were made of."""
    stage = planned.stage
    ref = f"{stage.release.target}-{stage.release.subarch}-{stage.release.build}"
    product = Product(ref, file, sha256, stage.description)
    packages = [Part(name, name, digest) for name, digest in _packages(planned, known)]
    return product_sbom(product, packages, _materials(planned, known))


def _packages(planned: PlannedStage, known: Known) -> Iterator[tuple[str, str]]:
    for name, node in planned.packages.items():
        if node in known.results and known.results[node].package:
            yield name, str(known.results[node].package)


def _materials(planned: PlannedStage, known: Known) -> Iterator[Material]:
    """Sources and seeds of everything, without the packages, which are listed by themselves."""
    listed = set(planned.packages)
    for node in planned.packages.values():
        if node in known.results:
            for material in known.origin(node).materials:
                if not (material.kind == "package" and material.name in listed):
                    yield material
    if planned.stage.root == "seed":
        uris = (planned.stage.seed.url,) if isinstance(planned.stage.seed, ArchiveSeed) else ()
        kept = tuple(uri for uri in uris if not uri.startswith("file:"))
        for digest in _layers(planned, known):
            yield Material("seed", _name(planned.stage.seed), digest, kept)


def _layers(planned: PlannedStage, known: Known) -> list[str]:
    made = (known.results.get(layer.node) for layer in planned.seed)
    return [str(result.layer) for result in made if result and result.layer]


def _kind(seed: Seed) -> str:
    return type(seed).__name__.removesuffix("Seed").lower()


def _name(seed: Seed) -> str:
    match seed:
        case ArchiveSeed(url):
            return url.rpartition("/")[2]
        case OciSeed(layout, tag):
            return f"{layout.name}:{tag}"
        case DockerSeed(image):
            return image
        case DebootstrapSeed(suite):
            return suite or "host"
        case StageSeed(stage):
            return stage
        case WagonSeed(_, packages):
            return " ".join(packages)
        case EmptySeed():
            return "empty"
