# SPDX-License-Identifier: GPL-3.0-or-later
"""custom: a script adds values and artefacts. It runs in the farm's sandbox: ``SCRIPT INPUT OUTPUT``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.kit.autogen.extensions.protocol import Bench, Made
from farm.kit.autogen.model import Atom
from farm.kit.autogen.values import Artefact
from farm.kit.distfiles.fetching import Wanted
from farm.plan.job import WORKDIR
from farm.spec.problem import error


class Custom:
    """Options: ``script``, ``mirror``, ``network``. What it leaves in ``download_dir`` may be a ``local`` artefact."""

    def __init__(self, bench: Bench) -> None:
        if not bench.options.get("script"):
            raise error("no-script", "the extension custom has no script", hint="add script: to its opts")
        if bench.scripts is None:
            raise error("no-scripts", "scripts cannot be run here")
        self.bench = bench
        self.scripts = bench.scripts
        self.script = bench.specfile.parent / Path(bench.options["script"])

    def apply(self, atom: Atom, values: Mapping[str, Any], artefacts: Sequence[Artefact]) -> Made:
        """FarmError ``script-failed``, ``no-artefact`` for a local artefact that the script did not leave."""
        distfiles = self.bench.distfiles
        wanted = [artefact for artefact in artefacts if not artefact.local]
        given = {one.name: distfiles.store.blob_path(distfiles.get(Wanted(one.name, one.urls)).blob) for one in wanted}
        places = {"workdir": WORKDIR, "download_dir": f"{WORKDIR}/downloads", "mirror": self.bench.mirror}
        network = self.bench.options.get("network", "").lower() in ("true", "yes", "1")
        seen = {**values, **places, "specfile": self.bench.specfile.name}
        answer = self.scripts.run(self.script, (), atom, seen, network=network, downloads=given)
        files = {}
        for artefact in answer.artefacts:
            if artefact.local:
                if artefact.name not in answer.files:
                    hint = "write it into the folder download_dir"
                    message = f"{atom.name}: the script left no {artefact.name!r}"
                    raise error("no-artefact", message, place=atom.place, hint=hint)
                files[artefact.name] = distfiles.add(answer.files[artefact.name], artefact.name)
        kept = {key: value for key, value in answer.values.items() if key not in (*places, "specfile")}
        return Made(kept, (*artefacts, *answer.artefacts), files)
