# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bot delivers in one piece: a commit on the kit's branch, or a pull request of its own.

Names of branches, titles and texts are mark-devkit's, so that both find each other's pull requests.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from farm.kit.atom import Cpv

Kind = Literal["bump", "purge", "eclasses", "metadata", "profiles", "fixup"]
Changes = Mapping[str, tuple[str, bytes] | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One commit of a unit: its message, and path → (mode, content), or None for what is removed."""

    message: str
    changes: Changes


@dataclasses.dataclass(frozen=True, slots=True)
class Unit:
    """A change that is delivered whole. ``subject`` names it: a package, a fixup, or its kind.

    ``branch`` is where its pull request comes from, ``title`` and ``body`` are what it says.
    """

    kind: Kind
    subject: str
    branch: str
    title: str
    body: str
    steps: tuple[Step, ...]
    ebuild: Cpv | None = None
    """The new version of a bump."""

    @property
    def changes(self) -> dict[str, tuple[str, bytes] | None]:
        """All changes of all commits together."""
        return {path: change for step in self.steps for path, change in step.changes.items()}


def bump_branch(cpv: Cpv, branch: str) -> str:
    """``merge/BRANCH/bump-cat_name-1_2``."""
    return f"merge/{branch}/bump-{plain(str(cpv))}"


def plain(text: str) -> str:
    """Text as it stands in names of branches: ``.`` and ``/`` become ``_``."""
    return text.replace(".", "_").replace("/", "_")


def bump(cpv: Cpv, branch: str, changes: Changes) -> Unit:
    """A new version of a package."""
    body = f"Automatic bump of package {cpv} for branch {branch} by mark-bot"
    title = f"mark-devkit: [{branch}] Bump {cpv}"
    return Unit("bump", cpv.catpkg, bump_branch(cpv, branch), title, body, (Step(f"Bump {cpv}", changes),), cpv)


def purge(catpkg: str, versions: list[str], branch: str, changes: Changes) -> Unit:
    """Old versions of a package removed, oldest first."""
    message = f"{catpkg}: Remove old versions\n" + "".join(f"\n  * Removed v{version}" for version in versions)
    listed = "".join(f" * v{version}\n" for version in versions)
    body = f"Automatic clean of old versions of the package {catpkg} for branch {branch} by mark-bot\n\n{listed}"
    title = f"mark-devkit: [{branch}] Purge {catpkg}"
    return Unit("purge", catpkg, f"purge/{branch}/{plain(catpkg)}", title, body, (Step(message, changes),))


def eclasses(branch: str, specfile: str, changes: Changes, *, new: bool) -> Unit:
    """Eclasses taken from sources."""
    body = f"Automatic update for add/update eclasses to branch {branch} for specfile {specfile} by mark-bot"
    message = "Add eclasses" if new else "Update/Add eclasses"
    title = f"mark-devkit: [{branch}] Update/Add eclasses"
    return Unit("eclasses", "eclasses", f"merge/{branch}/eclasses", title, body, (Step(message, changes),))


def metadata(branch: str, specfile: str, step: Step) -> Unit:
    """``metadata/layout.conf``."""
    body = f"Automatic update for add/update metadata to branch {branch} for specfile {specfile} by mark-bot"
    title = f"mark-devkit: [{branch}] Update/Add Metadata"
    return Unit("metadata", "metadata", f"merge/{branch}/metadata-update", title, body, (step,))


def profiles(branch: str, specfile: str, steps: tuple[Step, ...]) -> Unit:
    """Files of ``profiles``, a commit each."""
    body = f"Automatic update for add/update profiles to branch {branch} for specfile {specfile} by mark-bot"
    title = f"mark-devkit: [{branch}] Update/Add Profiles"
    return Unit("profiles", "profiles", f"merge/{branch}/profiles-update", title, body, steps)


def fixup(branch: str, specfile: str, name: str, what: str, changes: Changes, *, new: bool) -> Unit:
    """A file or directory that the specification brings along (``what``: file or directory)."""
    body = f"Automatic update for fixup {name} for branch {branch} for specfile {specfile} by mark-bot"
    title = f"mark-devkit: [{branch}] Update {what} {name}"
    message = f"{'Add' if new else 'Update'} {what} {name}"
    step = Step(message, changes)
    return Unit("fixup", name, f"merge/{branch}/fixup-include-{plain(name)}", title, body, (step,))
