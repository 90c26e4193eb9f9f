# SPDX-License-Identifier: GPL-3.0-or-later
"""sprig's reflect.go: the types and kinds of values."""

from __future__ import annotations

from farm.spec.template.registry import define
from farm.spec.template.values import deep_equal, kind_of, type_of

define("typeOf", "any", type_of)
define("typeIs", "string any", lambda name, value: name == type_of(value))
define("typeIsLike", "string any", lambda name, value: type_of(value) in (name, f"*{name}"))
define("kindOf", "any", kind_of)
define("kindIs", "string any", lambda name, value: name == kind_of(value))
define("deepEqual", "any any", deep_equal)
