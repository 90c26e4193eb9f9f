# SPDX-License-Identifier: GPL-3.0-or-later
"""Provenance of a package: an in-toto statement v1 with the SLSA provenance v1 predicate.

Sources: in-toto attestation framework, ``spec/v1/statement.md``; slsa.dev, ``provenance/v1``. There is no time, host
or run in it, so that the same build gives the same statement; the invocation is named by the key of its job.
"""

from __future__ import annotations

import json
from typing import Any

from farm.engine.origin import Material, Origin

BUILD_TYPE = "urn:farm:job:v1"
BUILDER = "urn:farm:builder"


def provenance(origin: Origin, file: str, sha256: str, spec: str = "") -> bytes:
    """The statement for the tarball called ``file``; ``spec`` is the digest of its spec (`farm.spec.specdigest`)."""
    internal = {"packKey": origin.pack_key, "network": origin.network}
    internal |= {"jobKey": origin.key} if origin.key else {}
    internal |= {"specDigest": spec} if spec else {}
    definition = {
        "buildType": BUILD_TYPE,
        "externalParameters": {"package": origin.package, "platform": origin.platform},
        "internalParameters": internal,
        "resolvedDependencies": [_descriptor(material) for material in origin.materials],
    }
    run = {"builder": {"id": BUILDER}, "metadata": {"invocationId": origin.key or origin.pack_key}}
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": file, "digest": {"sha256": sha256}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {"buildDefinition": definition, "runDetails": run},
    }
    return json.dumps(statement, indent=1, ensure_ascii=False).encode() + b"\n"


def spec_of(statement: bytes) -> str | None:
    """The digest of the spec that a statement tells; None when it tells none, or is no statement of ours."""
    return _told(statement, "internalParameters", "specDigest")


def platform_told(statement: bytes) -> str | None:
    """The platform that a statement tells; None as of `spec_of`."""
    return _told(statement, "externalParameters", "platform")


def _told(statement: bytes, parameters: str, name: str) -> str | None:
    try:
        found = json.loads(statement)["predicate"]["buildDefinition"][parameters][name]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, str) else None


def _descriptor(material: Material) -> dict[str, Any]:
    """An in-toto resource descriptor."""
    uri = material.uris[0] if material.uris else f"urn:farm:{material.kind}:{material.name}"
    return {"name": material.name, "uri": uri, "digest": {"sha256": material.sha256}}
