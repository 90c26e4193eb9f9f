# SPDX-License-Identifier: GPL-3.0-or-later
"""Screens: consumers of the engine's event stream."""
