# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise upgrade``."""

from __future__ import annotations

from typing import Any

import click

from farm.cli.anise.flags import persistent
from farm.cli.anise.perform import change_options, perform, rules_of
from farm.cli.pflag import GoCommand, switch


@click.command("upgrade", cls=GoCommand)
@change_options
@switch("--show-upgrade-order", help="Only show what would be done, in its order.")
@persistent
@click.pass_context
def upgrade(context: click.Context, /, **options: Any) -> None:
    """Bring all that is installed to its highest version.

    A package whose dependencies, conflicts or provides have changed under the same version is installed again.
    """
    from farm.client.solve import plan_upgrade

    options["pretend"] = options["pretend"] or options["show_upgrade_order"]
    rules = rules_of(options)
    plan = lambda catalog, database: plan_upgrade(catalog, database, rules)  # noqa: E731
    perform(context, plan, options, "No packages to updates. The system is updated.")
