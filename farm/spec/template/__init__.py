# SPDX-License-Identifier: GPL-3.0-or-later
"""Go's ``text/template`` with the functions that Helm gives it (sprig), in pure Python. See docs/templates.md."""

from farm.spec.template import functions as _functions
from farm.spec.template.engine import Rendered, render

__all__ = ["Rendered", "render"]
_functions.load()
