# SPDX-License-Identifier: GPL-3.0-or-later
"""A build farm for source-based Linux distributions."""

__version__ = "0.1.0"
