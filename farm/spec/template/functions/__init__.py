# SPDX-License-Identifier: GPL-3.0-or-later
"""The functions of Go's text/template, of sprig and of Helm, by subject. Importing a module registers its functions."""

import importlib

SUBJECTS = (
    "chance",
    "checksums",
    "core",
    "dates",
    "defaults",
    "lists",
    "maps",
    "numbers",
    "paths",
    "regexes",
    "serial",
    "strings",
    "types",
    "versions",
    "words",
)


def load() -> None:
    """Register all functions."""
    for subject in SUBJECTS:
        importlib.import_module(f"{__name__}.{subject}")
