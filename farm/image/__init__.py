# SPDX-License-Identifier: GPL-3.0-or-later
"""SD card images: board files, how they are planned, written, checked, put on cards, and booted."""
