# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata of ebuilds: what portage finds out about them, remembered by the md5 of all that was read."""
