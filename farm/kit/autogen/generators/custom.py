# SPDX-License-Identifier: GPL-3.0-or-later
"""custom: a script says what there is. It runs in the farm's sandbox: ``SCRIPT process|set-version INPUT OUTPUT``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farm.kit.autogen.engines import render_text
from farm.kit.autogen.generators.assets import addressed_assets
from farm.kit.autogen.generators.protocol import Choice, Found, Surroundings
from farm.kit.autogen.model import Atom
from farm.kit.autogen.scripts import Answer, Scripts
from farm.kit.autogen.values import Artefact, Values
from farm.spec.problem import error


class Custom:
    """``generator_opts``: ``script``, ``enable_set_version``, ``network``."""

    def __init__(self, surroundings: Surroundings) -> None:
        if surroundings.scripts is None:
            raise error("no-scripts", "scripts cannot be run here")
        self.scripts: Scripts = surroundings.scripts
        self.options = surroundings.options
        self.script = surroundings.specfile.parent / Path(surroundings.options.get("script", ""))

    def process(self, atom: Atom) -> Found:
        """What ``SCRIPT process`` writes: ``vars``, with ``versions``, and ``artefacts``. FarmError `Scripts.run`."""
        answer = self._run("process", atom, {})
        versions = answer.values.get("versions")
        return Found(dict(answer.values), [str(version) for version in versions or ()], answer)

    def artefacts(self, atom: Atom, found: Found, choice: Choice) -> tuple[Values, list[Artefact]]:
        """What ``SCRIPT set-version`` writes, and the assets; names and addresses are rendered."""
        answer: Answer = found.details
        values: Values = {}
        if self.options.get("enable_set_version", "true") == "true":
            later = self._run("set-version", atom, choice.values)
            values = {key: value for key, value in later.values.items() if key != "versions"}
            answer = later if later.artefacts else answer
        seen = {**choice.values, **values}
        made = [_rendered(artefact, seen) for artefact in answer.artefacts]
        return values, made + addressed_assets(atom, seen)

    def _run(self, mode: str, atom: Atom, values: Mapping[str, Any]) -> Answer:
        network = self.options.get("network", "").lower() in ("true", "yes", "1")
        return self.scripts.run(self.script, (mode,), atom, values, network=network)


def _rendered(artefact: Artefact, values: Mapping[str, Any]) -> Artefact:
    urls = tuple(render_text(url, values, "artefact.url") for url in artefact.urls)
    return dataclasses.replace(artefact, urls=urls, name=render_text(artefact.name, values, "artefact.name"))
