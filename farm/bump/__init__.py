# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm bump``: what changed upstream and in a tree, as new versions and builds in its definitions (docs/bump.md)."""
