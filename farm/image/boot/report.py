# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot tests as JUnit's XML and as JSON. JUnit's format: as Jenkins' and GitLab's readers take it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from farm.image.boot.trial import Trial

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")
_MOST = 200_000


def junit(trials: Sequence[Trial]) -> bytes:
    """One suite for each board: a case for the boot, one for each check, and the console's log."""
    top = ElementTree.Element("testsuites")
    for trial in trials:
        failed = bool(trial.problem) + sum(bool(check.problem) for check in trial.checks)
        skipped = sum(bool(check.skipped) for check in trial.checks)
        suite = ElementTree.SubElement(
            top, "testsuite", name=f"image.{trial.board}", tests=str(1 + len(trial.checks)), failures=str(failed),
            errors="0", skipped=str(skipped), time=f"{trial.seconds:.3f}",
        )  # fmt: skip
        properties = ElementTree.SubElement(suite, "properties")
        ElementTree.SubElement(properties, "property", name="way", value=trial.way)
        ElementTree.SubElement(properties, "property", name="ended", value=trial.ended)
        _case(suite, trial.board, "boots to a login prompt", trial.login or trial.seconds, trial.problem, "")
        for check in trial.checks:
            _case(suite, trial.board, check.name, check.seconds, check.problem, check.output, check.skipped)
        ElementTree.SubElement(suite, "system-out").text = _clean(console_text(trial)[-_MOST:])
    ElementTree.indent(top)
    text: bytes = ElementTree.tostring(top, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + text + b"\n"


def as_json(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """The same as plain data."""
    return [
        {
            **dataclasses.asdict(trial),
            "ok": trial.ok,
            "console": str(trial.console),
            "screenshot": str(trial.screenshot) if trial.screenshot else None,
            "checks": [{**dataclasses.asdict(check), "ok": not check.problem} for check in trial.checks],
        }
        for trial in trials
    ]


def console_text(trial: Trial) -> str:
    """All that the serial console said."""
    return trial.console.read_text(errors="replace") if trial.console.exists() else ""


def _case(
    suite: ElementTree.Element, board: str, name: str, seconds: float, problem: str, output: str, skipped: str = ""
) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", classname=f"image.{board}", name=_clean(name), time=f"{seconds:.3f}"
    )
    if problem:
        ElementTree.SubElement(case, "failure", message=_clean(problem)).text = _clean(output)
    elif skipped:
        ElementTree.SubElement(case, "skipped", message=_clean(skipped))
    elif output:
        ElementTree.SubElement(case, "system-out").text = _clean(output)


def _clean(text: str) -> str:
    return _NOT_XML.sub("", text)
