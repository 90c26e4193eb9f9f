# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m farm``."""

from farm.cli.main import main

main()
