# SPDX-License-Identifier: GPL-3.0-or-later
"""The services that autogen's tests have."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "autogen"))
