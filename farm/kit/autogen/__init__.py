# SPDX-License-Identifier: GPL-3.0-or-later
"""Autogen: new ebuilds out of what upstream released. See docs/autogen.md."""
