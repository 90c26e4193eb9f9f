# SPDX-License-Identifier: GPL-3.0-or-later
"""Forges: where pull requests are. One small interface, one file for each kind of forge."""
