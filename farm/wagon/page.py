# SPDX-License-Identifier: GPL-3.0-or-later
"""The page that a person sees who opens a wagon's address in a browser: what is in it, and how to use it."""

from __future__ import annotations

import html
import re
import threading
import urllib.parse
from pathlib import Path
from typing import Any

from farm.spec.problem import FarmError
from farm.spec.quantity import size_text
from farm.wagon.reading import Entry, Wagon
from farm.wagon.repository import FILE
from farm.wagon.revisions import WagonFolder

_BY_CONTENT = re.compile(r"(?:tree|compilertree|repository)-[0-9a-f]{16}(?:\.meta\.yaml)?\.tar(?:\.gz|\.zst)?")
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #888; --link: #0a66c2; }
@media (prefers-color-scheme: dark) { :root { --link: #7ab8f5; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin: 0; font-size: 1.8rem; } h2 { margin-top: 2rem; font-size: 1.2rem; }
p.lead { color: var(--dim); margin: .2rem 0 1rem; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
pre { background: #8881; border: 1px solid var(--line); border-radius: 6px; padding: .8rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; white-space: nowrap; color: var(--dim); font-weight: 600; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.name { white-space: nowrap; } td.text { color: var(--dim); }
"""


class Pages:
    """Pages of one wagon, made anew when it changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = WagonFolder(folder)
        self._mutex = threading.Lock()
        self._made: tuple[bytes, bytes] | None = None

    def index(self) -> bytes:
        """The page, as HTML."""
        with self._mutex:
            try:
                content = self._folder.content()
                if self._made is None or self._made[0] != content:
                    wagon = Wagon.parse(content, self._folder.open_file)
                    self._made = content, _index(wagon, self._folder).encode()
                return self._made[1]
            except FarmError as failure:
                problem = html.escape(failure.problems[0].message)
                return _document("Wagon", f"<h1>No wagon</h1>\n<p>{problem}</p>").encode()

    @staticmethod
    def is_unchanging(name: str) -> bool:
        """Whether the file of that name can never have other bytes."""
        return _BY_CONTENT.fullmatch(name) is not None


def _index(wagon: Wagon, folder: WagonFolder) -> str:
    repository = wagon.repository
    total = sum(entry.metadata.size or 0 for entry in wagon.packages.values())
    signed = _link(f"{FILE}.minisig", "signed") if folder.signature() else "not signed"
    count = f"{len(wagon.packages)} package" + ("" if len(wagon.packages) == 1 else "s")
    facts = f"{count}, {size_text(total)} · revision {repository.revision} · {signed} · {_link(FILE, FILE)}"
    kept = [number for number in folder.kept() if number != repository.revision]
    earlier = ", ".join(_link(f"revisions/{number}.yaml", str(number)) for number in reversed(kept))
    body = [
        f"<h1>{html.escape(repository.name)}</h1>",
        f'<p class="lead">{html.escape(repository.description)}</p>' if repository.description else "",
        f"<p>{facts}</p>",
        f"<p>Earlier revisions: {earlier}</p>" if earlier else "",
        "<h2>Use it</h2>",
        "<p>As <code>/etc/luet/repos.conf.d/" + html.escape(_file_name(repository.name)) + ".yml</code>:</p>",
        f"<pre>{html.escape(_config(wagon))}</pre>",
        "<h2>Packages</h2>",
        "<table><thead><tr><th>Package</th><th>Version</th><th>Size</th><th>What it is</th><th>Beside it</th></tr>",
        "</thead><tbody>",
        *(_row(entry) for entry in wagon.packages.values()),
        "</tbody></table>",
    ]
    return _document(repository.name, "\n".join(part for part in body if part))


def _row(entry: Entry) -> str:
    metadata, id = entry.metadata, entry.id
    description = metadata.runtime.get("description")
    text = description.split("\n")[0] if isinstance(description, str) else ""
    beside = " ".join(_link(name, _kind(name, metadata.stem)) for name in metadata.beside)
    size = "" if metadata.size is None else size_text(metadata.size)
    return (
        f'<tr><td class="name">{_link(metadata.path, id.atom)}</td><td class="name">{html.escape(id.version)}</td>'
        f'<td class="number">{size}</td><td class="text">{html.escape(text)}</td><td class="name">{beside}</td></tr>'
    )


def _kind(name: str, stem: str) -> str:
    names = {".metadata.yaml": "metadata", ".cdx.json": "SBOM", ".provenance.json": "provenance"}
    return names.get(name.removeprefix(stem), name)


def _config(wagon: Wagon) -> str:
    from farm.wagon.plainyaml import dump

    repository = wagon.repository
    data: dict[str, Any] = {"name": repository.name, "description": repository.description, "type": "http"}
    data |= {"enable": True, "cached": True, "priority": repository.priority}
    return dump({**data, "urls": list(repository.urls) or ["http://ADDRESS-OF-THIS-PAGE/"]})


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)


def _link(target: str, text: str) -> str:
    return f'<a href="./{urllib.parse.quote(target)}">{html.escape(text)}</a>'


def _document(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body>\n</html>\n"
    )
