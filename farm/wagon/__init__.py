# SPDX-License-Identifier: GPL-3.0-or-later
"""Wagons: repositories of packages that anise's (luet's) clients install from. See docs/wagons.md."""
