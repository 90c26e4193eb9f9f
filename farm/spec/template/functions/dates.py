# SPDX-License-Identifier: GPL-3.0-or-later
"""sprig's date.go. Local time is UTC; what reads the clock is noted as impure."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from contextvars import ContextVar

from farm.spec.template.functions.numbers import to_int64
from farm.spec.template.registry import Site, define, function
from farm.spec.template.timeformat import (
    UTC,
    ZERO,
    Time,
    duration_text,
    format_time,
    parse_duration,
    parse_time,
    zone,
)
from farm.spec.template.values import Fault, Int64, Value

_DAY = "2006-01-02"
_stopped: ContextVar[datetime.datetime | None] = ContextVar("stopped", default=None)


@contextlib.contextmanager
def stopped_clock(moment: datetime.datetime) -> Iterator[None]:
    """Inside, all templates of this thread take ``moment`` for the present time."""
    token = _stopped.set(moment)
    try:
        yield
    finally:
        _stopped.reset(token)


def _now() -> Time:
    return Time(_stopped.get() or datetime.datetime.now(UTC))


@function("now", args="", impure=True)
def _now_function() -> Time:
    return _now()


def _time_of(site: Site, name: str, value: Value) -> Time:
    """sprig takes the present time for whatever is neither a time nor a number of seconds."""
    if isinstance(value, Time):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return ZERO.added((int(value) + 62_135_596_800) * 10**9)
    site.impure(name)
    return _now()


def _formatted(site: Site, name: str, layout: str, value: Value, zone_name: str) -> str:
    return format_time(_time_of(site, name, value).moment.astimezone(zone(zone_name)), layout)


@function("date", args="string any", site=True)
def _date(site: Site, layout: str, value: Value) -> str:
    return _formatted(site, "date", layout, value, "Local")


@function("dateInZone", "date_in_zone", args="string any string", site=True)
def _date_in_zone(site: Site, layout: str, value: Value, zone_name: str) -> str:
    return _formatted(site, "dateInZone", layout, value, zone_name)


@function("htmlDate", args="any", site=True)
def _html_date(site: Site, value: Value) -> str:
    return _formatted(site, "htmlDate", _DAY, value, "Local")


@function("htmlDateInZone", args="any string", site=True)
def _html_date_in_zone(site: Site, value: Value, zone_name: str) -> str:
    return _formatted(site, "htmlDateInZone", _DAY, value, zone_name)


@function("dateModify", "date_modify", args="string time")
def _date_modify(change: str, value: Time) -> Time:
    return value.added(parse_duration(change) or 0)


@function("mustDateModify", "must_date_modify", args="string time")
def _must_date_modify(change: str, value: Time) -> Time:
    duration = parse_duration(change)
    if duration is None:
        raise Fault(f"invalid duration {change!r}", "durations are written like 72h, -30m or 1h15m")
    return value.added(duration)


@function("ago", args="any", impure=True, site=True)
def _ago(site: Site, value: Value) -> str:
    passed = _now().unix() - _time_of(site, "ago", value).unix()
    return duration_text(passed * 10**9)


@function("duration", args="any")
def _duration(value: Value) -> str:
    seconds = to_int64(value) if isinstance(value, (Int64, str)) else 0
    return duration_text(seconds * 10**9)


_ROUNDED = (
    ("y", 365 * 86400),
    ("mo", 30 * 86400),
    ("d", 86400),
    ("h", 3600),
    ("m", 60),
    ("s", 1),
)


@function("durationRound", args="any", site=True)
def _duration_round(site: Site, value: Value) -> str:
    duration = 0
    if isinstance(value, str):
        duration = parse_duration(value) or 0
    elif isinstance(value, int) and not isinstance(value, bool):
        duration = int(value)
    elif isinstance(value, Time):
        site.impure("durationRound")
        duration = (_now().unix() - value.unix()) * 10**9
    left = abs(duration)
    for unit, seconds in _ROUNDED:
        if left > seconds * 10**9:
            return f"{left // (seconds * 10**9)}{unit}"
    return "0s"


@function("toDate", args="string string")
def _to_date(layout: str, text: str) -> Time:
    try:
        return parse_time(layout, text)
    except Fault:
        return ZERO


define("mustToDate", "string string", parse_time)
define("unixEpoch", "time", lambda value: str(value.unix()))
