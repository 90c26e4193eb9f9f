# SPDX-License-Identifier: GPL-3.0-or-later
"""How changes reach a kit: as commits on its branch, or as pull requests."""
