# SPDX-License-Identifier: GPL-3.0-or-later
"""Distfiles: downloaded, verified, and brought to a mirror."""
