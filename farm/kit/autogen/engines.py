# SPDX-License-Identifier: GPL-3.0-or-later
"""The template engines: helm (Go text/template with sprig), j2cli (Jinja2), pongo2 (Django's syntax)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from farm.spec.problem import Place, error

Engine = Callable[[str, Mapping[str, Any], Path, Sequence[str]], str]
"""Text of a template, values, the template's file, and the engine's options → text."""

MAX_OUTPUT = 16 << 20


def render_text(text: str, values: Mapping[str, Any], name: str) -> str:
    """A text of the specification itself, which is a helm template. FarmError ``template-…``."""
    return _helm(text, values, Path(name), ()) if "{{" in text else text


def engine_of(name: str) -> Engine:
    """The engine of that name. FarmError ``unknown-engine``."""
    if name not in ENGINES:
        raise error("unknown-engine", f"there is no template engine {name!r}", hint=f"one of: {', '.join(ENGINES)}")
    return ENGINES[name]


def _helm(text: str, values: Mapping[str, Any], file: Path, _options: Sequence[str]) -> str:
    from farm.spec.template import render

    return render(text, values, name=str(file)).text


def _j2cli(text: str, values: Mapping[str, Any], file: Path, options: Sequence[str]) -> str:
    """As ``j2 TEMPLATE data.yml`` renders it: an unknown name is an error, unless ``--undefined`` is an option."""
    unknown = [
        option
        for option in options
        if option not in ("--undefined", "-f", "--format", "yaml", "-fyaml", "--format=yaml")
    ]
    if unknown:
        hint = "code of filters and tests is not executed here; write macros in the template"
        raise error(
            "engine-option", f"j2cli's option {unknown[0]!r} is not supported", place=Place(str(file)), hint=hint
        )
    return _jinja(text, values, file, strict="--undefined" not in options)


def _pongo2(text: str, values: Mapping[str, Any], file: Path, _options: Sequence[str]) -> str:
    from farm.kit.autogen.pongo import to_jinja

    return _jinja(to_jinja(text), values, file, strict=False, pongo=True)


def _jinja(text: str, values: Mapping[str, Any], file: Path, *, strict: bool, pongo: bool = False) -> str:
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined if strict else jinja2.Undefined,
        extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
        loader=jinja2.FileSystemLoader(file.parent),
    )
    if pongo:
        from farm.kit.autogen.pongo import FILTERS

        environment.filters.update(FILTERS)
    try:
        parts, size = [], 0
        for part in environment.from_string(text).generate(values):
            parts.append(part)
            size += len(part)
            if size > MAX_OUTPUT:
                raise error(
                    "template-execution", f"the output is larger than {MAX_OUTPUT >> 20} MiB", place=Place(str(file))
                )
        return "".join(parts)
    except jinja2.TemplateSyntaxError as fault:
        raise error(
            "template-syntax", fault.message or "", place=Place(fault.filename or str(file), fault.lineno)
        ) from None
    except (
        jinja2.TemplateError,
        TypeError,
        ValueError,
        ArithmeticError,
        LookupError,
        AttributeError,
        RecursionError,
    ) as fault:
        _failed(fault, file)


def _failed(fault: Exception, file: Path) -> NoReturn:
    """Says where in the template it went wrong: the last frame that is the template's own."""
    line, trace = 0, fault.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename in ("<template>", str(file)):
            line = trace.tb_lineno
        trace = trace.tb_next
    message = re.sub(r"\s+", " ", f"{fault}") or type(fault).__name__
    raise error("template-execution", message, place=Place(str(file), line)) from None


ENGINES: dict[str, Engine] = {"helm": _helm, "j2cli": _j2cli, "pongo2": _pongo2}
"""Names as ``template.engine`` has them."""
