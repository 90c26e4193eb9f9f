# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a spec tree that is shaped like the largest public one (macaroni-funtoo, 3 246 packages).

    python benchmarks/synthetic_tree.py --packages 3000 --seed 1 DIR

gives DIR/packages (specs, with shared templates) and DIR/values/amd64.yaml. The build graph has the widths of the
real one by level (29 levels), nearly every package one build requirement, with hubs of hundreds of dependents; the
runtime graph has four ``>=`` requirements a package. Labels, annotations, use flags, versions and collections occur
as often as in the real tree. The same arguments give the same bytes.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

WIDTHS: tuple[int, ...] = (
    118,
    24,
    1296,
    389,
    284,
    136,
    105,
    134,
    161,
    72,
    51,
    47,
    43,
    40,
    37,
    34,
    31,
    28,
    25,
    22,
    20,
    17,
    15,
    12,
    10,
)
WIDTHS += (8, 6, 4, 2)
"""Packages on each level of the real build graph; from the twelfth level on, falling to 2 at the 29th."""

KITS = ("core-kit", "python-modules-kit", "kde-kit", "gnome-kit", "perl-kit", "media-kit")
CATEGORIES = ("dev-libs", "dev-python", "media-libs", "sys-apps", "x11-libs", "kde-frameworks", "app-text", "net-misc")
FLAGS = ("ssl", "zlib", "threads", "ipv6", "nls", "-doc", "-test", "static-libs", "unicode", "xattr")
COLLECTIONS = 18
COLLECTION_SIZE = 3


class Item:
    """A package to be written."""

    def __init__(self, number: int, level: int, rng: random.Random) -> None:
        self.level = level
        self.category = "seed" if level == 0 and number < 12 else rng.choice(CATEGORIES)
        self.name = f"p{number:04d}" + rng.choice(("", "-core", "-libs", "_utils", "+plus"))
        self.version = _version(rng)
        self.base: Item | None = None
        self.requires: list[Item] = []

    @property
    def requirement(self) -> str:
        """As an element of a list of requirements."""
        return f'  - name: "{self.name}"\n    category: "{self.category}"\n    version: ">={self.version}"\n'


def _version(rng: random.Random) -> str:
    plain = ".".join(str(rng.randrange(20)) for _ in range(rng.randint(1, 3)))
    kind = rng.random()
    if kind < 0.85:
        return plain
    return plain + ("+1" if kind < 0.985 else rng.choice(("_p3", "_rc1", "b", "-r2")))


def make_items(count: int, rng: random.Random) -> list[Item]:
    """Packages with their levels and edges; bases are chosen so that a few become hubs."""
    scale = count / sum(WIDTHS)
    widths = [max(1, round(width * scale)) for width in WIDTHS]
    widths[2] += count - sum(widths)
    items: list[Item] = []
    below: list[Item] = []
    for level, width in enumerate(widths):
        row = [Item(len(items) + i, level, rng) for i in range(width)]
        for item in row:
            if below:
                item.base = below[min(int(rng.paretovariate(0.9)) - 1, len(below) - 1)]
        items += row
        below = row
    for i, item in enumerate(items):
        if i and rng.random() < 0.8:
            chosen = {min(int(rng.paretovariate(0.45)) - 1, i - 1) for _ in range(rng.randint(1, 9))}
            item.requires = [items[n] for n in sorted(chosen)]
    return items


def definition(item: Item, rng: random.Random, indent: str = "") -> str:
    """The text of definition.yaml, or of an entry of collection.yaml."""
    use = (
        "".join(f"  - {flag}\n" for flag in sorted(rng.sample(FLAGS, rng.randint(2, 8)))) if rng.random() < 0.62 else ""
    )
    deps = " ".join(f"{r.category}/{r.name}" for r in item.requires)
    lines = f'name: "{item.name}"\ncategory: "{item.category}"\nversion: "{item.version}"\n'
    lines += f"use_flags:\n{use}" if use else ""
    lines += f"requires:\n{''.join(r.requirement for r in item.requires)}" if item.requires else ""
    lines += _relations(item)
    lines += f'''labels:
  original.package.name: "{item.category}/{item.name}"
  original.package.version: "{item.version}"
  original.package.slot: "0"
  emerge.packages: {item.category}/{item.name}
  kit: "{rng.choice(KITS)}"
  IUSE: "{" ".join(FLAGS)}"
  DEPEND: "{deps}"
  RDEPEND: "{deps}"
annotations:
  subsets:
    rules:
      devel:
      - ^/usr/include/
      - ^/usr/lib64/pkgconfig/
      doc:
      - ^/usr/share/doc/
      - ^/usr/share/man/
description: "Synthetic package {item.name}, which does what packages of its kind do"
uri:
- https://{item.name}.example.invalid/
license: "GPL-2"
'''
    return "".join(f"{indent}{line}\n" for line in lines.splitlines())


def _relations(item: Item) -> str:
    """A few packages provide a virtual one, fewer conflict with an old one."""
    number = int(item.name[1:5])
    text = (
        f'provides:\n  - name: "v{number:04d}"\n    category: "virtual"\n    version: "1"\n'
        if number % 125 == 7
        else ""
    )
    if number % 375 == 11:
        text += f'conflicts:\n  - name: "{item.name}-old"\n    category: "{item.category}"\n    version: "<1"\n'
    return text + ("hidden: true\n" if number % 90 == 3 else "")


BUILD = """{{{{- $name := .Values.name }}}}
{base}
package_dir: {{{{ .Values.package_dir | default "/package" }}}}
env:
- JOBS={{{{ index .Values.labels "jobs" | default .Values.jobs | default "3" }}}}
{{{{- if .Values.use_flags }}}}
- USE="{{{{ join " " .Values.use_flags }}}}"
{{{{- end }}}}
prelude:
- {{{{ template "prepare" . }}}}
{{{{- if index .Values.labels "emerge.packages" }}}}
- |
  mkdir -p /package/var/lib/{{{{ .Values.name }}}} && {kind}
  echo {{{{ index .Values.labels "emerge.packages" | replace "/" "-" }}}} > /package/var/lib/{{{{ .Values.name }}}}/id
{{{{- end }}}}
{{{{- range $key, $value := .Values.labels }}}}
{{{{- if and (hasPrefix "original." $key) (ne $value "0") }}}}
- echo "{{{{ $key }}}}={{{{ $value }}}}" >> /package/labels
{{{{- end }}}}
{{{{- end }}}}
- test "{{{{ .Values.arch }}}}" = amd64 || echo {{{{ .Values.version | upper | trim }}}}
excludes:
- ^/package/tmp
- ^/usr/share/info/dir$
- \\.la$
"""

SHARED = """{{- define "prepare" -}}
mkdir -p /package && echo {{ .Values.category }}/{{ .Values.name | lower }}
{{- end -}}
"""


def build(item: Item, rng: random.Random) -> str:
    """The text of build.yaml."""
    base = f"requires:\n{item.base.requirement}" if item.base else 'image: {{ .Values.image | default "scratch" }}'
    return BUILD.format(base=base.rstrip(), kind=rng.choice(("true", "test -d /", "ldconfig -V >/dev/null", ":")))


def write(folder: Path, count: int, seed: int) -> None:
    """Writes the tree into ``folder``, which need not exist."""
    rng = random.Random(seed)
    items = make_items(count, rng)
    packages = folder / "packages"
    _put(packages / "templates" / "prepare.yaml", SHARED)
    _put(folder / "values" / "amd64.yaml", 'arch: amd64\njobs: "4"\n')
    collected = [item for item in items if item.level == 2][: COLLECTIONS * COLLECTION_SIZE]
    for start in range(0, len(collected), COLLECTION_SIZE):
        group = collected[start : start + COLLECTION_SIZE]
        for item in group:
            item.base = group[0].base
        entries = "".join("- " + definition(item, rng, "  ")[2:] for item in group)
        _put(packages / "collections" / f"c{start:02d}" / "collection.yaml", f"packages:\n{entries}")
        _put(packages / "collections" / f"c{start:02d}" / "build.yaml", build(group[0], rng))
    for item in items:
        if item not in collected:
            spec = packages / item.category / item.name
            _put(spec / "definition.yaml", definition(item, rng))
            _put(spec / "build.yaml", build(item, rng))
            if rng.random() < 0.15:
                _put(spec / "files" / "fix.patch", f"--- a/{item.name}\n+++ b/{item.name}\n")


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write a synthetic spec tree.")
    parser.add_argument("--packages", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    write(arguments.folder, arguments.packages, arguments.seed)


if __name__ == "__main__":
    main()
