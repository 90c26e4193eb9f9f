# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a kit as one page that needs nothing else: no script, no file beside it."""

from __future__ import annotations

import html
from collections.abc import Sequence

from farm.kit.status import Row, Status

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #777; --link: #0a66c2; --ok: #1a7f37; --wait: #9a6700;
  --bad: #cf222e; --new: #8250df; }
@media (prefers-color-scheme: dark) { :root { --dim: #999; --link: #7ab8f5; --ok: #57c97a; --wait: #e0b040;
  --bad: #ff8080; --new: #c9a0ff; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin: 0; font-size: 1.7rem; } p.lead { color: var(--dim); margin: .2rem 0 1.2rem; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
div.counts { display: flex; flex-wrap: wrap; gap: .6rem; margin-bottom: 1.2rem; }
div.counts span { border: 1px solid var(--line); border-radius: 999px; padding: .1rem .8rem; }
div.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th { position: sticky; top: 0; background: Canvas; text-align: left; color: var(--dim); font-weight: 600; }
th, td { padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
td.version { font-variant-numeric: tabular-nums; } td.none { color: var(--dim); }
.current { color: var(--ok); } .waiting { color: var(--wait); } .behind, .missing { color: var(--bad); }
.ahead, .upstream { color: var(--new); }
"""
_WORDS = {
    "behind": "a source has a later version",
    "waiting": "a pull request is open",
    "missing": "no source has a version",
    "ahead": "later than every source",
    "current": "up to date",
}
"""States in the order in which they are listed, and what they mean."""


def page(status: Status) -> str:
    """The page, as HTML. What needs somebody comes first."""
    rows = sorted(status.rows, key=lambda row: (list(_WORDS).index(row.state), row.package))
    heads = ["package", *status.branches, "sources", "upstream", "state", "pull request"]
    lines = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(status.kit)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{_text(status.kit)}</h1>",
        f'<p class="lead">{len(rows)} packages; branch {_text(status.branches[-1])} is what is merged into.</p>',
        f'<div class="counts">{"".join(_counts(rows))}</div>',
        '<div class="table"><table><thead><tr>',
        "".join(f'<th scope="col">{_text(head)}</th>' for head in heads),
        "</tr></thead><tbody>",
        *(_row(row, status.branches) for row in rows),
        "</tbody></table></div></body></html>",
    ]
    return "\n".join(lines) + "\n"


def _counts(rows: Sequence[Row]) -> list[str]:
    counts = [(sum(row.state == state for row in rows), state) for state in _WORDS]
    made = [f'<span class="{state}" title="{_WORDS[state]}">{count} {state}</span>' for count, state in counts if count]
    outdated = sum(row.outdated for row in rows)
    return [*made, *([f'<span class="upstream">{outdated} newer upstream</span>'] if outdated else [])]


def _row(row: Row, branches: Sequence[str]) -> str:
    cells = [f'<td class="name">{_text(row.package)}</td>']
    cells += [_version(row.versions.get(branch, "")) for branch in branches]
    cells.append(_version(f"{row.source} ({row.kit})" if row.source else ""))
    cells.append(_version(row.upstream, "upstream" if row.outdated else ""))
    cells.append(f'<td class="{row.state}" title="{_WORDS[row.state]}">{row.state}</td>')
    pulls = ", ".join(_link(pull.url, f"#{pull.number}") for pull in row.pulls)
    return f"<tr>{''.join(cells)}<td>{pulls}</td></tr>"


def _version(text: str, kind: str = "") -> str:
    return f'<td class="version {kind}">{_text(text)}</td>' if text else '<td class="none">–</td>'


def _link(url: str, text: str) -> str:
    """A link, for addresses of the web only: the forge says what it likes."""
    if not url.startswith(("https://", "http://")):
        return _text(text)
    return f'<a href="{_text(url)}" rel="noopener noreferrer">{_text(text)}</a>'


def _text(text: str) -> str:
    return html.escape(text, quote=True)
