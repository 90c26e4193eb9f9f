# SPDX-License-Identifier: GPL-3.0-or-later
"""Go's time.Time, its layouts (``2006-01-02 15:04:05``) and its durations (``1h2m3s``)."""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from farm.spec.template.values import Fault, Int64, Struct, Value

UTC = datetime.UTC
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
LAYOUT = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|_2006|__2|_2|002|01|02|03|04|05|06|15|PM|pm"
    r"|-07:00:00|-070000|-07:00|-0700|-07|Z07:00:00|Z070000|Z07:00|Z0700|Z07"
    r"|[.,]0+(?!\d)|[.,]9+(?!\d)|1|2|3|4|5"
)


class Time(Struct):
    """An instant to the microsecond. Local time is UTC: a build must not depend on the machine's zone."""

    go_type = "time.Time"
    __slots__ = ("moment",)

    def __init__(self, moment: datetime.datetime) -> None:
        self.moment = moment

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Time) and self.moment == other.moment

    def __hash__(self) -> int:
        return hash(self.moment)

    def __str__(self) -> str:
        return format_time(self.moment, "2006-01-02 15:04:05.999999 -0700 MST")

    def written(self) -> str:
        return format_time(self.moment, "2006-01-02T15:04:05.999999Z07:00")

    def unix(self) -> int:
        """Whole seconds since 1970."""
        return (self.moment - _EPOCH) // datetime.timedelta(seconds=1)

    def added(self, nanoseconds: int) -> Time:
        """The time that much later. Raises Fault outside of the years 1 to 9999."""
        try:
            return Time(self.moment + datetime.timedelta(microseconds=nanoseconds // 1000))
        except OverflowError:
            raise Fault("the date is outside of the years 1 to 9999") from None

    def member(self, name: str) -> Callable[..., Value] | None:
        moment = self.moment
        members: dict[str, Callable[..., Value]] = {
            "Format": lambda layout: format_time(moment, layout),
            "Year": lambda: moment.year,
            "Month": lambda: _MONTHS[moment.month - 1],
            "Day": lambda: moment.day,
            "Hour": lambda: moment.hour,
            "Minute": lambda: moment.minute,
            "Second": lambda: moment.second,
            "Nanosecond": lambda: moment.microsecond * 1000,
            "YearDay": lambda: moment.timetuple().tm_yday,
            "Weekday": lambda: _DAYS[moment.weekday()],
            "Unix": lambda: Int64(self.unix()),
            "UnixMilli": lambda: Int64((moment - _EPOCH) // datetime.timedelta(milliseconds=1)),
            "UnixNano": lambda: Int64((moment - _EPOCH) // datetime.timedelta(microseconds=1) * 1000),
            "UTC": lambda: Time(moment.astimezone(UTC)),
            "Local": lambda: Time(moment.astimezone(UTC)),
            "IsZero": lambda: moment == ZERO.moment,
            "AddDate": lambda years, months, days: Time(_add_date(moment, years, months, days)),
            "String": lambda: str(self),
        }
        return members.get(name)


def _add_date(moment: datetime.datetime, years: int, months: int, days: int) -> datetime.datetime:
    month = moment.month - 1 + months
    first = moment.replace(year=moment.year + years + month // 12, month=month % 12 + 1, day=1)
    return first + datetime.timedelta(days=moment.day - 1 + days)


ZERO = Time(datetime.datetime(1, 1, 1, tzinfo=UTC))


def zone(name: str) -> datetime.tzinfo:
    """A time zone by name; UTC when it is unknown, as sprig has it, and for Local."""
    if name in ("", "UTC", "Local"):
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _offset(moment: datetime.datetime, layout: str) -> str:
    seconds = int((moment.utcoffset() or datetime.timedelta()).total_seconds())
    if layout[0] == "Z" and not seconds:
        return "Z"
    sign, seconds = "-" if seconds < 0 else "+", abs(seconds)
    parts = [f"{seconds // 3600:02d}", f"{seconds // 60 % 60:02d}", f"{seconds % 60:02d}"]
    count = {2: 1, 4: 2, 6: 3}[len(layout[1:].replace(":", ""))]
    return sign + (":" if ":" in layout else "").join(parts[:count])


def _fraction(moment: datetime.datetime, layout: str) -> str:
    digits = f"{moment.microsecond:06d}000"[: len(layout) - 1].ljust(len(layout) - 1, "0")
    if layout[1] == "0":
        return layout[0] + digits
    kept = digits.rstrip("0")
    return layout[0] + kept if kept else ""


_FIELDS: dict[str, Callable[[datetime.datetime], Any]] = {
    "January": lambda t: _MONTHS[t.month - 1],
    "Jan": lambda t: _MONTHS[t.month - 1][:3],
    "Monday": lambda t: _DAYS[t.weekday()],
    "Mon": lambda t: _DAYS[t.weekday()][:3],
    "MST": lambda t: t.tzname() or "UTC",
    "2006": lambda t: f"{t.year:04d}",
    "_2006": lambda t: f"_{t.year:04d}",
    "06": lambda t: f"{t.year % 100:02d}",
    "01": lambda t: f"{t.month:02d}",
    "1": lambda t: t.month,
    "02": lambda t: f"{t.day:02d}",
    "_2": lambda t: f"{t.day:2d}",
    "2": lambda t: t.day,
    "002": lambda t: f"{t.timetuple().tm_yday:03d}",
    "__2": lambda t: f"{t.timetuple().tm_yday:3d}",
    "15": lambda t: f"{t.hour:02d}",
    "03": lambda t: f"{t.hour % 12 or 12:02d}",
    "3": lambda t: t.hour % 12 or 12,
    "04": lambda t: f"{t.minute:02d}",
    "4": lambda t: t.minute,
    "05": lambda t: f"{t.second:02d}",
    "5": lambda t: t.second,
    "PM": lambda t: "PM" if t.hour >= 12 else "AM",
    "pm": lambda t: "pm" if t.hour >= 12 else "am",
}


def format_time(moment: datetime.datetime, layout: str) -> str:
    """time.Format"""

    def one(match: re.Match[str]) -> str:
        text = match.group()
        if text in _FIELDS:
            return str(_FIELDS[text](moment))
        return _fraction(moment, text) if text[0] in ".," else _offset(moment, text)

    return LAYOUT.sub(one, layout)


_PATTERNS = {
    "January": "(?P<month_name>[A-Za-z]+)",
    "Jan": "(?P<month_name>[A-Za-z]{3})",
    "Monday": "[A-Za-z]+day",
    "Mon": "[A-Za-z]{3}",
    "MST": "[A-Z]{3,5}",
    "2006": r"(?P<year>\d{4})",
    "06": r"(?P<short_year>\d\d)",
    "01": r"(?P<month>\d\d)",
    "1": r"(?P<month>\d\d?)",
    "02": r"(?P<day>\d\d)",
    "_2": r"(?P<day>\ ?\d\d?)",
    "2": r"(?P<day>\d\d?)",
    "002": r"(?P<yearday>\d{3})",
    "15": r"(?P<hour>\d\d?)",
    "03": r"(?P<hour12>\d\d?)",
    "3": r"(?P<hour12>\d\d?)",
    "04": r"(?P<minute>\d\d)",
    "4": r"(?P<minute>\d\d?)",
    "05": r"(?P<second>\d\d)(?P<fraction>(?:[.,]\d+)?)",
    "5": r"(?P<second>\d\d?)(?P<fraction>(?:[.,]\d+)?)",
    "PM": "(?P<half>AM|PM)",
    "pm": "(?P<half>am|pm)",
}


def _pattern(layout: str) -> str:
    parts, position = [], 0
    for match in LAYOUT.finditer(layout):
        parts.append(re.escape(layout[position : match.start()]))
        text = match.group()
        if text in _PATTERNS:
            parts.append(_PATTERNS[text])
        elif text[0] not in ".,":
            parts.append(r"(?P<offset>[+-]\d\d(?::?\d\d){0,2}" + ("|Z)" if text[0] == "Z" else ")"))
        position = match.end()
    return "".join(parts) + re.escape(layout[position:])


def parse_time(layout: str, text: str) -> Time:
    """time.Parse. Raises Fault when the text does not follow the layout."""
    try:
        match = re.fullmatch(_pattern(layout), text)
    except re.error:
        raise Fault(f"the layout {layout!r} names a part of the date twice") from None
    if match is None:
        raise Fault(f"parsing time {text!r} as {layout!r}: cannot parse")
    try:
        return Time(_moment({key: value for key, value in match.groupdict().items() if value}))
    except (ValueError, OverflowError) as error:
        raise Fault(f"parsing time {text!r}: {error}") from None


def _moment(parts: dict[str, str]) -> datetime.datetime:
    year = int(parts.get("year", "1"))
    if short := parts.get("short_year"):
        year = int(short) + (1900 if int(short) >= 69 else 2000)
    month = int(parts.get("month", "1"))
    if name := parts.get("month_name"):
        month = [known[: len(name)].lower() for known in _MONTHS].index(name.lower()) + 1
    hour = int(parts.get("hour", "0"))
    if "hour12" in parts:
        hour = int(parts["hour12"]) % 12 + (12 if parts.get("half", "").lower() == "pm" else 0)
    micro = int((parts.get("fraction", "")[1:] + "000000")[:6])
    clock = (hour, int(parts.get("minute", "0")), int(parts.get("second", "0")), micro)
    moment = datetime.datetime(year, month, int(parts.get("day", "1")), *clock, _zone_of(parts.get("offset", "")))
    return moment + datetime.timedelta(days=int(parts["yearday"]) - 1) if "yearday" in parts else moment


def _zone_of(text: str) -> datetime.tzinfo:
    digits = text[1:].replace(":", "").ljust(6, "0")
    seconds = 0
    if text not in ("", "Z"):
        seconds = int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(digits[4:])
    if not seconds:
        return UTC
    return datetime.timezone(datetime.timedelta(seconds=-seconds if text[0] == "-" else seconds), "")


_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: str) -> int | None:
    """time.ParseDuration, in nanoseconds. None: not a duration."""
    body = text.lstrip("+-") if len(text) - len(text.lstrip("+-")) <= 1 else ""
    if body == "0":
        return 0
    if not body or len(body) > 100 or _PART.sub("", body):
        return None
    try:
        total = sum(int(Decimal(number) * _UNITS[unit]) for number, unit in _PART.findall(body))
    except InvalidOperation:
        return None
    if total >= 1 << 63:
        return None
    return -total if text.startswith("-") else total


def duration_text(nanoseconds: int) -> str:
    """time.Duration.String"""
    if not nanoseconds:
        return "0s"
    sign, left = "-" if nanoseconds < 0 else "", abs(nanoseconds)
    if left < _UNITS["s"]:
        unit = "ns" if left < 1000 else "µs" if left < 10**6 else "ms"
        return f"{sign}{_trimmed(Decimal(left) / _UNITS[unit])}{unit}"
    seconds = f"{_trimmed(Decimal(left % _UNITS['m']) / _UNITS['s'])}s"
    minutes, hours = left // _UNITS["m"] % 60, left // _UNITS["h"]
    text = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return sign + text + seconds


def _trimmed(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
