# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksums and base-32 and base-64 text (sprig's crypto.go and strings.go)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import zlib
from collections.abc import Callable

from farm.spec.template.registry import define, function
from farm.spec.template.values import Fault, from_bytes, to_bytes


def _sum(name: str) -> Callable[[str], str]:
    return lambda text: hashlib.new(name, to_bytes(text), usedforsecurity=False).hexdigest()


for _algorithm in ("md5", "sha1", "sha256", "sha512"):
    define(f"{_algorithm}sum", "string", _sum(_algorithm))
define("adler32sum", "string", lambda text: str(zlib.adler32(to_bytes(text))))


def _decoder(decode: Callable[[bytes], bytes], bits: int, alphabet: str) -> Callable[[str], str]:
    """A wrong text gives Go's message instead of a result."""
    wrong = re.compile(f"[^{alphabet}=\r\n]")

    def work(text: str) -> str:
        try:
            if not wrong.search(text):
                return from_bytes(decode(to_bytes(re.sub(r"[\r\n]", "", text))))
        except (binascii.Error, ValueError):
            pass
        match = wrong.search(text)
        return f"illegal base{bits} data at input byte {match.start() if match else len(text)}"

    return work


def _strict64(data: bytes) -> bytes:
    return base64.b64decode(data, validate=True)


define("b64enc", "string", lambda text: base64.b64encode(to_bytes(text)).decode())
define("b32enc", "string", lambda text: base64.b32encode(to_bytes(text)).decode())
define("b64dec", "string", _decoder(_strict64, 64, "A-Za-z0-9+/"))
define("b32dec", "string", _decoder(base64.b32decode, 32, "A-Z2-7"))

# The Master Password algorithm, see sprig's crypto.go.
_SEED = b"com.lyndir.masterpassword"
_LONG = (
    "CvcvnoCvcvCvcv CvcvCvcvnoCvcv CvcvCvcvCvcvno CvccnoCvcvCvcv CvccCvcvnoCvcv CvccCvcvCvcvno CvcvnoCvccCvcv "
    "CvcvCvccnoCvcv CvcvCvccCvcvno CvcvnoCvcvCvcc CvcvCvcvnoCvcc CvcvCvcvCvccno CvccnoCvccCvcv CvccCvccnoCvcv "
    "CvccCvccCvcvno CvcvnoCvccCvcc CvcvCvccnoCvcc CvcvCvccCvccno CvccnoCvcvCvcc CvccCvcvnoCvcc CvccCvcvCvccno"
)
_SHAPES = {
    "maximum": ["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
    "long": _LONG.split(),
    "medium": ["CvcnoCvc", "CvcCvcno"],
    "short": ["Cvcn"],
    "basic": ["aaanaaan", "aannaaan", "aaannaaa"],
    "pin": ["nnnn"],
}
_CHARACTERS = {
    "V": "AEIOU",
    "C": "BCDFGHJKLMNPQRSTVWXYZ",
    "v": "aeiou",
    "c": "bcdfghjklmnpqrstvwxyz",
    "A": "AEIOUBCDFGHJKLMNPQRSTVWXYZ",
    "a": "AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
    "n": "0123456789",
    "o": "@&%?,=[]_:-+*$#!'^~;()/.",
    "x": "AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
}


@function("derivePassword", args="int string string string string")
def _derive_password(counter: int, kind: str, password: str, user: str, site: str) -> str:
    if kind not in _SHAPES:
        return f"cannot find password template {kind}"
    if not 0 <= counter < 1 << 32:
        raise Fault("derivePassword: the counter must be an unsigned 32-bit number")
    salt = _SEED + len(to_bytes(user)).to_bytes(4, "big") + to_bytes(user)
    key = hashlib.scrypt(to_bytes(password), salt=salt, n=32768, r=8, p=2, dklen=64, maxmem=1 << 27)
    name = to_bytes(site)
    message = _SEED + len(name).to_bytes(4, "big") + name + counter.to_bytes(4, "big")
    seed = hmac.digest(key, message, "sha256")
    shape = _SHAPES[kind][seed[0] % len(_SHAPES[kind])]
    sets = (_CHARACTERS[letter] for letter in shape)
    return "".join(chars[byte % len(chars)] for chars, byte in zip(sets, seed[1:], strict=False))
