# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of ``mark-devkit metro``: read and checked, and run as nodes of the farm's graph. See docs/metro.md.

Source of the format: github.com/macaroni-os/mark-devkit 0.32.0, ``pkg/specs`` and ``pkg/metro``.
"""
