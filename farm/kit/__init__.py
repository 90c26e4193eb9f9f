# SPDX-License-Identifier: GPL-3.0-or-later
"""Kits: git repositories of ebuilds, and what is generated, merged and released in them."""
