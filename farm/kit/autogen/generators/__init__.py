# SPDX-License-Identifier: GPL-3.0-or-later
"""Where versions and tarballs come from: one file for each kind of place."""
