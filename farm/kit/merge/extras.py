# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kit has besides packages: eclasses, ``metadata/layout.conf``, ``profiles``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from farm.kit import unit
from farm.kit.ebuilds import Kit
from farm.kit.model import Mirror, Target
from farm.kit.tree import FILE, LINK
from farm.kit.unit import Step, Unit
from farm.spec.regex import compile_go

_LAYOUT = """repo-name = {name}
thin-manifests = true
sign-manifests = false
profile-formats = portage-2
cache-formats = md5-dict
"""
DEFAULT_MASTERS = "core-kit"


def plan_eclasses(spec: Target, target: Kit, sources: Mapping[str, Kit], specfile: str, *, new: bool) -> list[Unit]:
    """Eclasses of the sources that match, as far as they differ; of the same name, the later listed source's."""
    changes: dict[str, tuple[str, bytes] | None] = {}
    for name, regexes in spec.eclasses.items():
        searches = [compile_go(regex).search for regex in regexes]
        kit = sources[name]
        for eclass, entry in sorted(kit.eclasses.items()):
            path = f"eclass/{eclass}.eclass"
            if entry.mode == LINK or not any(search(f"{eclass}.eclass") for search in searches):
                continue
            changes.pop(path, None)
            if target.eclasses.get(eclass) != entry:
                changes[path] = (entry.mode, kit.tree.read(path))
    return [unit.eclasses(spec.branch, specfile, changes, new=new)] if changes else []


def layout_conf(spec: Target) -> str:
    """The text of ``metadata/layout.conf``."""
    text = _LAYOUT.format(name=spec.name)
    masters = spec.layout_masters or DEFAULT_MASTERS
    if masters != spec.name:
        text += f"masters = {masters}\n"
    for key, values in (
        ("aliases", spec.aliases),
        ("manifest-hashes", spec.manifest_hashes),
        ("manifest-required-hashes", spec.manifest_required_hashes),
    ):
        if values:
            text += f"{key} = {' '.join(values)}\n"
    return text


def plan_layout(spec: Target, target: Kit, specfile: str) -> list[Unit]:
    """``metadata/layout.conf``, if it differs."""
    step = _step(target, "metadata/layout.conf", layout_conf(spec), "metadata/layout.conf")
    return [unit.metadata(spec.branch, specfile, step)] if step else []


def plan_profiles(spec: Target, target: Kit, added: Iterable[str], specfile: str) -> list[Unit]:
    """``categories`` (of what is there and of ``added`` category names), ``repo_name``, ``thirdpartymirrors``."""
    categories = sorted({catpkg.partition("/")[0] for catpkg in target.packages} | set(added))
    wanted = {"repo_name": f"{spec.name}\n"}
    if categories:
        wanted = {"categories": "".join(f"{name}\n" for name in categories), **wanted}
    if spec.mirrors:
        wanted["thirdpartymirrors"] = thirdpartymirrors(spec.mirrors)
    steps = [_step(target, f"profiles/{name}", text, f"profiles/{name} file") for name, text in wanted.items()]
    made = tuple(step for step in steps if step)
    return [unit.profiles(spec.branch, specfile, made)] if made else []


def thirdpartymirrors(mirrors: Sequence[Mirror]) -> str:
    """``profiles/thirdpartymirrors``: alias, one or two tabs, URIs."""
    lines = (f"{m.alias}{chr(9) * (2 if len(m.alias) < 8 else 1)}{' '.join(m.uris)}\n" for m in mirrors)
    return "".join(lines)


def _step(target: Kit, path: str, text: str, shown: str) -> Step | None:
    there = path in target.tree.entries
    content = text.encode()
    if there and target.tree.read(path) == content:
        return None
    return Step(f"{'Update' if there else 'Add'} {shown}", {path: (FILE, content)})
