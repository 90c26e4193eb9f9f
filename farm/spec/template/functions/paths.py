# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths (Go's path package) and URLs (sprig's url.go)."""

from __future__ import annotations

import posixpath
import re
import urllib.parse
from typing import Any

from farm.spec.template.registry import define, function
from farm.spec.template.values import Fault, Value, kind_of, to_bytes


def _clean(path: str) -> str:
    cleaned = posixpath.normpath(path) if path else "."
    return "/" + cleaned.lstrip("/") if cleaned.startswith("//") else cleaned


def _base(path: str) -> str:
    if not path:
        return "."
    return path.rstrip("/").rpartition("/")[2] or "/"


def _ext(path: str) -> str:
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:] if dot >= 0 else ""


for _prefix in ("", "os"):

    def _name(name: str, prefix: str = _prefix) -> str:
        return prefix + name[0].upper() + name[1:] if prefix else name

    define(_name("base"), "string", _base)
    define(_name("dir"), "string", lambda path: _clean(path[: path.rfind("/") + 1]))
    define(_name("clean"), "string", _clean)
    define(_name("ext"), "string", _ext)
    define(_name("isAbs"), "string", lambda path: path.startswith("/"))

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)\Z", re.DOTALL)
_KEYS = ("scheme", "host", "path", "query", "opaque", "fragment", "userinfo")


def _unquoted(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise Fault(f"unable to parse url: invalid URL escape in {text!r}")
    return urllib.parse.unquote(text, errors="surrogateescape")


@function("urlParse", args="string")
def _url_parse(text: str) -> Value:
    """Go's url.Parse, as far as it can be told from outside."""
    parts: dict[str, Any] = dict.fromkeys((*_KEYS, "hostname"), "")
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise Fault("unable to parse url: invalid control character in URL")
    rest, _, fragment = text.partition("#")
    parts["fragment"] = _unquoted(fragment)
    if match := _SCHEME.match(rest):
        parts["scheme"], rest = match[1].lower(), match[2]
    rest, _, parts["query"] = rest.partition("?")
    if not rest.startswith("/"):
        if parts["scheme"]:
            return {**parts, "opaque": rest}
        if ":" in rest.partition("/")[0]:
            raise Fault(f"unable to parse url: first path segment in URL cannot contain colon: {text!r}")
    if rest.startswith("//") and (parts["scheme"] or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        parts["userinfo"], _, parts["host"] = authority.rpartition("@")
        parts["hostname"] = _hostname(parts["host"])
    parts["path"] = _unquoted(rest)
    return parts


def _hostname(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, colon, port = host.rpartition(":")
    if colon and not port.isdigit() and port:
        raise Fault(f"unable to parse url: invalid port {port!r} after host")
    return name if colon else host


def _text(parts: dict[str, Any], key: str) -> str:
    value = parts.get(key, "")
    if not isinstance(value, str):
        raise Fault(f"unable to parse {key} key, must be of type string, but {kind_of(value)} found")
    return value


@function("urlJoin", args="map")
def _url_join(parts: dict[str, Any]) -> str:
    scheme, host, path, query, opaque, fragment, user = (_text(parts, key) for key in _KEYS)
    text = f"{scheme}:" if scheme else ""
    if opaque:
        text += opaque
    else:
        if scheme or host or user:
            text += f"//{f'{user}@' if user else ''}{host}" if host or user or path.startswith("//") else ""
            if path and not path.startswith("/") and host:
                text += "/"
        text += urllib.parse.quote(to_bytes(path), safe="/$&+,:;=@!*'()~-._")
    text += f"?{query}" if query else ""
    return text + (f"#{urllib.parse.quote(to_bytes(fragment), safe=_FRAGMENT)}" if fragment else "")


_FRAGMENT = "/$&+,:;=@!*'()~-._?"
