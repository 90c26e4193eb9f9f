# SPDX-License-Identifier: GPL-3.0-or-later
"""Random text and numbers. Each call is noted as impure: what is built with them is never the same twice."""

from __future__ import annotations

import base64
import secrets
import string
import uuid

from farm.spec.template.functions.strings import bounded
from farm.spec.template.registry import function
from farm.spec.template.values import Fault

_ALPHABETS = {
    "randAlphaNum": string.ascii_letters + string.digits,
    "randAlpha": string.ascii_letters,
    "randNumeric": string.digits,
    "randAscii": "".join(map(chr, range(32, 127))),
}


def _drawn(alphabet: str, count: int) -> str:
    bounded(count * 64)
    return "".join(secrets.choice(alphabet) for _ in range(count))


for _name, _alphabet in _ALPHABETS.items():

    @function(_name, args="int", impure=True)
    def _random(count: int, alphabet: str = _alphabet) -> str:
        return _drawn(alphabet, count)


@function("randBytes", args="int", impure=True)
def _rand_bytes(count: int) -> str:
    bounded(count)
    if count < 0:
        raise Fault("randBytes: the count is negative")
    return base64.b64encode(secrets.token_bytes(count)).decode()


@function("randInt", args="int int", impure=True)
def _rand_int(least: int, end: int) -> int:
    if end <= least:
        raise Fault("randInt: the second number must be greater than the first")
    return least + secrets.randbelow(end - least)


@function("shuffle", args="string", impure=True)
def _shuffle(text: str) -> str:
    chars = list(text)
    secrets.SystemRandom().shuffle(chars)
    return "".join(chars)


@function("uuidv4", args="", impure=True)
def _uuid() -> str:
    return str(uuid.uuid4())
