# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit merge``: what a kit's branch takes from its sources. All here only reads, and says what to change."""
