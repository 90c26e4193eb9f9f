# SPDX-License-Identifier: GPL-3.0-or-later
"""Funtoo's foundations: which kits there are, in which order, and which packages of which overlays go into each.

Sources: funtoo/merge-scripts (``modules/merge``), kit-fixups (``foundations.py``, ``foundations.yaml``) and Funtoo's
wiki page *Kit-fixups*. docs/foundations.md has the format, and how ``foundations.py`` maps to it.
"""
