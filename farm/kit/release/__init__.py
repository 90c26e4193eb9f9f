# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases: a meta-repo whose JSON files pin each kit's commit, as ``ego`` reads them."""
