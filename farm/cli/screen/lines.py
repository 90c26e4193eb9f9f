# SPDX-License-Identifier: GPL-3.0-or-later
"""Events as JSON lines on standard output, for other programs."""

from __future__ import annotations

import json

import click

from farm.engine.events import Event


class JsonScreen:
    """Writes each event as one line as soon as it happens."""

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        click.echo(json.dumps(event.to_json(), ensure_ascii=False))

    def close(self) -> None:
        """Nothing to put away."""
