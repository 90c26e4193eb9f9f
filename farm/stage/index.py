# SPDX-License-Identifier: GPL-3.0-or-later
"""The index of a layout: ``index.json`` for programs, ``index.html`` for people. Both are written whole."""

from __future__ import annotations

import html
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

from farm.spec.quantity import size_text
from farm.stage.deliver import BESIDE
from farm.stage.layout import INFO, LATEST, Edition, Layout
from farm.stage.model import Release
from farm.store.outputs import put_bytes

FORMAT = 1
_BESIDE = {
    ".sha256": "sha256",
    ".sha512": "sha512",
    ".minisig": "signature",
    ".CONTENTS.gz": "contents",
    ".cdx.json": "SBOM",
}
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #777; --link: #0a66c2; --card: #8881; }
@media (prefers-color-scheme: dark) { :root { --link: #7ab8f5; --dim: #999; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin: 0; font-size: 1.8rem; } h2 { margin: 2.2rem 0 .2rem; font-size: 1.3rem; }
h2 small { color: var(--dim); font-weight: 400; font-size: 1rem; }
p.lead { color: var(--dim); margin: .2rem 0 1rem; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
section.release { border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem; margin: .8rem 0; }
section.release h3 { margin: 0; font-size: 1.1rem; }
section.release p { margin: .2rem 0 .6rem; color: var(--dim); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; color: var(--dim); font-weight: 600; font-size: .9rem; }
th, td { padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.digest { font: .85rem/1.7 ui-monospace, monospace; color: var(--dim); }
details { margin-top: .6rem; } summary { color: var(--dim); cursor: pointer; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .8rem; overflow-x: auto; }
"""


def write_index(layout: Layout) -> dict[str, Any]:
    """Writes both files; the document that ``index.json`` holds."""
    with layout.lock():
        document = index_document(layout)
        put_bytes(layout.root / "index.json", json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n")
        put_bytes(layout.root / "index.html", page(document).encode())
    return document


def index_document(layout: Layout) -> dict[str, Any]:
    """All complete releases: for each its versions, the newest first. Paths are relative to the layout."""
    releases: dict[Release, list[Edition]] = {}
    for edition in layout.all():
        if edition.complete:
            releases.setdefault(edition.release, []).append(edition)
    return {"format": FORMAT, "releases": [_release(layout, *one) for one in releases.items()]}


def _release(layout: Layout, release: Release, editions: list[Edition]) -> dict[str, Any]:
    latest = layout.latest(release)
    assert latest is not None
    return {
        "build": release.build,
        "arch": release.arch,
        "subarch": release.subarch,
        "target": release.target,
        "description": (latest.info or {}).get("description", ""),
        "platform": (latest.info or {}).get("platform", ""),
        "latest": latest.version,
        "links": _links(layout, release),
        "versions": [_version(one) for one in reversed(editions)],
    }


def _links(layout: Layout, release: Release) -> list[str]:
    folder = layout.latest_folder(release)
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [f"{release.folder}/{name}" for name in names if not name.endswith((*BESIDE, INFO))]


def _version(edition: Edition) -> dict[str, Any]:
    info = edition.info or {}
    base = f"{edition.release.folder}/{edition.version}"
    outputs = [{**one, "file": f"{base}/{one['file']}"} for one in info.get("outputs", ())]
    for one in outputs:
        name = one["file"].rpartition("/")[2]
        one["beside"] = [f"{one['file']}{end}" for end in BESIDE if f"{name}{end}" in edition.files]
    seed = (info.get("seed") or {}).get("name", "")
    made = {"version": edition.version, "seed": seed, "packages": len(info.get("packages", ())), "outputs": outputs}
    return {**made, "info": f"{base}/{edition.stem}{INFO}", "signed-by": info.get("signed-by", "")}


def page(document: dict[str, Any]) -> str:
    """The page."""
    releases = document["releases"]
    body = ["<h1>Stages</h1>", '<p class="lead">Root file systems to download, verify and chroot into.</p>']
    if not releases:
        body.append("<p>Nothing is given out here yet.</p>")
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for one in releases:
        groups.setdefault((one["build"], one["arch"], one["subarch"]), []).append(one)
    for (build, arch, subarch), members in groups.items():
        body.append(f"<h2>{_e(build)} <small>{_e(arch)} / {_e(subarch)}</small></h2>")
        for one in sorted(members, key=lambda item: item["target"], reverse=True):
            body += _section(one)
    if releases:
        body += _how_to(releases[-1])
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Stages</title><style>{_STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _section(release: dict[str, Any]) -> Iterator[str]:
    versions = release["versions"]
    latest = next(one for one in versions if one["version"] == release["latest"])
    yield f'<section class="release"><h3>{_e(release["target"])}</h3>'
    told = f"{release['description'].rstrip('.')}. " if release["description"] else ""
    count = f", {latest['packages']} package{'s' if latest['packages'] > 1 else ''}" if latest["packages"] else ""
    yield f"<p>{_e(told)}Version {_e(latest['version'])}{count}.</p>"
    yield '<div class="scroll"><table><tr><th>File</th><th>Size</th><th>sha256</th><th>Beside it</th></tr>'
    for one in latest["outputs"]:
        yield _row(one)
    yield "</table></div>"
    older = [one for one in versions if one is not latest]
    if older:
        yield f"<details><summary>{len(older)} other version{'s' if len(older) > 1 else ''}</summary>"
        yield '<div class="scroll"><table>'
        yield from (_row(output) for one in older for output in one["outputs"])
        yield "</table></div></details>"
    yield "</section>"


def _row(output: dict[str, Any]) -> str:
    beside = [_link(path, _BESIDE[next(end for end in _BESIDE if path.endswith(end))]) for path in output["beside"]]
    name = output["file"].rpartition("/")[2]
    target = f"{output['file']}/index.json" if output["format"] == "oci" else output["file"]
    return (
        f'<tr><td>{_link(target, name)}</td><td class="number">{size_text(output["size"])}</td>'
        f'<td class="digest" title="{_e(output["sha256"])}">{_e(output["sha256"][:16])}…</td>'
        f"<td>{' · '.join(beside)}</td></tr>"
    )


def _how_to(release: dict[str, Any]) -> Iterator[str]:
    """Commands that work on the newest tarball."""
    tarballs = [link for link in release["links"] if ".tar" in link and LATEST in link and ".lxd." not in link]
    if not tarballs:
        return
    name = tarballs[0].rpartition("/")[2]
    yield "<h2>How to use a tarball</h2>"
    lines = [f"sha256sum -c {name}.sha256"]
    if release["versions"][0]["signed-by"]:
        lines.append(f"minisign -Vm {name} -P PUBLIC-KEY")
    lines += ["mkdir root", f"tar -xpf {name} --xattrs-include='*.*' --numeric-owner -C root", "chroot root /bin/sh"]
    yield f"<pre>{_e(chr(10).join(lines))}</pre>"


def _link(path: str, text: str) -> str:
    return f'<a href="{_e(urllib.parse.quote(path))}">{_e(text)}</a>'


def _e(text: str) -> str:
    return html.escape(str(text), quote=True)
