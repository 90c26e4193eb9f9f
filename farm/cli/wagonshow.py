# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm wagon show`` and ``farm wagon diff``: looking at wagons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli.show import plural, print_json, size, table

if TYPE_CHECKING:
    from farm.wagon.difference import Difference
    from farm.wagon.reading import Entry, Wagon


@click.command()
@click.argument("folder", metavar="DIR[@REVISION]")
@click.argument("package", required=False)
@click.option("--json", is_flag=True, help="Print plain data.")
def show(folder: str, package: str | None, json: bool) -> None:
    """Show a wagon, or one PACKAGE of it (category/name, or with -version)."""
    wagon = open_revision(folder)
    if package is not None:
        _show_packages(wagon, package, json)
    elif json:
        print_json(_document(wagon, folder))
    else:
        _show_wagon(wagon, folder)


@click.command()
@click.argument("old", metavar="DIR[@REVISION]")
@click.argument("new", metavar="[DIR[@REVISION]]", required=False)
@click.option("--json", is_flag=True, help="Print plain data.")
def diff(old: str, new: str | None, json: bool) -> None:
    """Show what differs between two wagons or revisions; of one DIR, since its last revision.

    The exit status is 0 in any case.
    """
    from farm.wagon.difference import compare

    if new is None:
        new, _, revision = old.partition("@")
        old = f"{new}@{revision or _last_but_one(Path(new))}"
    found = compare(open_revision(old), open_revision(new))
    if json:
        print_json(found.to_json())
    else:
        click.echo("\n".join(_lines(found)) or "no difference")


def open_revision(name: str) -> Wagon:
    """The wagon in a folder, at an earlier revision if ``@N`` is given. FarmError ``no-wagon``, ``no-revision``."""
    from farm.wagon.reading import Wagon
    from farm.wagon.revisions import WagonFolder

    path, at, revision = name.rpartition("@")
    number = int(revision) if at and revision.isdecimal() and not Path(name).is_dir() else None
    folder = WagonFolder(Path(path if number is not None else name))
    return Wagon.parse(folder.content(number), folder.open_file)


def _last_but_one(path: Path) -> int:
    from farm.spec.problem import error
    from farm.wagon.revisions import WagonFolder

    folder = WagonFolder(path)
    current = folder.current()
    earlier = [number for number in folder.kept() if current and number < current.revision]
    if not earlier:
        raise error("no-revision", f"{path} keeps no earlier revision", hint="name two wagons")
    return earlier[-1]


def _document(wagon: Wagon, name: str) -> dict[str, Any]:
    from farm.wagon.revisions import WagonFolder

    repository = wagon.repository
    return {
        "name": repository.name,
        "description": repository.description,
        "urls": list(repository.urls),
        "type": repository.type,
        "priority": repository.priority,
        "platform": repository.platform,
        "revision": repository.revision,
        "kept": WagonFolder(Path(name.partition("@")[0])).kept(),
        "files": {key: file.filename for key, file in repository.repo_files.items()},
        "packages": [
            {
                "package": str(id),
                "path": entry.metadata.path,
                "sha256": entry.metadata.sha256,
                "size": entry.metadata.size,
            }
            for id, entry in wagon.packages.items()
        ],
        "provides": {atom: [str(id) for id in ids] for atom, ids in wagon.provides.items()},
    }


def _show_wagon(wagon: Wagon, name: str) -> None:
    document = _document(wagon, name)
    total = sum(entry.metadata.size or 0 for entry in wagon.packages.values())
    kept = ", ".join(map(str, document["kept"])) or "none"
    rows = [
        ["name", document["name"]],
        ["description", document["description"]],
        ["urls", ", ".join(document["urls"])],
        ["type", f"{document['type']}, priority {document['priority']}"],
        ["platform", document["platform"]],
        ["revision", f"{document['revision']} (kept: {kept})"],
        ["packages", f"{len(wagon.packages)}, {size(total)}"],
    ]
    click.echo(table([row for row in rows if row[1]]))
    entries = wagon.packages.items()
    click.echo(table([["  " + str(id), size(entry.metadata.size or 0), _summary(entry)] for id, entry in entries]))


def _summary(entry: Entry) -> str:
    text = entry.metadata.runtime.get("description") or ""
    return text.split("\n")[0][:60] if isinstance(text, str) else ""


def _show_packages(wagon: Wagon, wanted: str, json: bool) -> None:
    from farm.spec.problem import error

    found = [entry for id, entry in wagon.packages.items() if wanted in (str(id), id.atom, id.name)]
    if not found:
        raise error("unknown-package", f"the wagon has no {wanted}", hint="`farm wagon show DIR` lists what it has")
    if json:
        print_json([entry.metadata.document() for entry in found])
        return
    for entry in found:
        from farm.wagon.plainyaml import dump

        document = {key: value for key, value in entry.metadata.document().items() if key != "files"}
        click.echo(dump(document).rstrip())
        click.echo(f"files: # {plural(len(entry.metadata.files), 'file')}")
        click.echo("\n".join(f"- {path}" for path in entry.metadata.files))


def _lines(found: Difference) -> list[str]:
    return [
        *(f"+ {id}" for id in found.added),
        *(f"- {id}" for id in found.removed),
        *(f"^ {old} -> {new.version}" for old, new in found.upgraded),
        *(f"! {id}: other bytes under the same version" for id in found.rebuilt),
        *(f"~ {id}: {', '.join(keys)}" for id, keys in found.redefined),
        *(f"~ repository.yaml: {key}" for key in found.repository),
    ]
