# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written beside the packages of a run: metadata, bill of materials, provenance."""

from __future__ import annotations

from collections.abc import Sequence

from farm.cli.deliver import Delivered
from farm.cli.describe import describe
from farm.cli.session import Session
from farm.plan.node import Plan
from farm.spec.whole import write_whole


def write_beside(packages: Sequence[Delivered], plan: Plan, session: Session) -> None:
    """Writes ``<fingerprint>.metadata.yaml``, ``.cdx.json`` and ``.provenance.json`` for packages in a destination."""
    from farm.engine.origin import origins
    from farm.engine.sbom import sbom
    from farm.spec.specdigest import spec_digest
    from farm.wagon.provenance import provenance

    describe(packages, session.tree, session.stated_platform())
    known = {str(id): package for id, package in session.tree.packages.items()}
    found = {origin.package: origin for origin in origins(plan, session.store).values()}
    for delivered in packages:
        package, origin = known[delivered.package], found.get(delivered.package)
        if origin is None:
            continue
        stem = delivered.file.with_name(package.id.fingerprint)
        write_whole(stem.with_name(f"{stem.name}.cdx.json"), sbom(package, origin, delivered.sha256))
        statement = provenance(origin, delivered.file.name, delivered.sha256, spec_digest(package))
        write_whole(stem.with_name(f"{stem.name}.provenance.json"), statement)
