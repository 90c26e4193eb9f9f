# SPDX-License-Identifier: GPL-3.0-or-later
"""Detached Ed25519 signatures in minisign's format. Source: minisign(1), "Minisign signatures" (jedisct1/minisign).

A signature file has four lines: an untrusted comment; algorithm, key id and signature; a trusted comment; a signature
of the former signature and the trusted comment. ``ED`` signs the BLAKE2b-512 hash of a file, ``Ed`` (old) the file.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from farm.spec.problem import error

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PREHASHED, LEGACY = b"ED", b"Ed"
_TRUSTED = "trusted comment: "
_UNTRUSTED = "untrusted comment: "
MAX_BYTES = 1 << 16


@dataclasses.dataclass(frozen=True, slots=True)
class PublicKey:
    """A key to verify with. ``id`` are minisign's eight bytes that name the key, ``key`` the 32 bytes of Ed25519."""

    id: bytes
    key: bytes
    name: str = dataclasses.field(default="", compare=False)

    @property
    def hex(self) -> str:
        """The key's id as minisign shows it."""
        return self.id[::-1].hex().upper()

    @property
    def text(self) -> str:
        """The key in one line, as ``minisign -P`` takes it."""
        return base64.b64encode(LEGACY + self.id + self.key).decode()


@dataclasses.dataclass(frozen=True, slots=True)
class SecretKey:
    """A key to sign with. ``seed`` are Ed25519's 32 secret bytes."""

    id: bytes
    seed: bytes = dataclasses.field(repr=False)

    @property
    def public(self) -> PublicKey:
        """The key to verify with."""
        return PublicKey(self.id, _private(self.seed).public_key().public_bytes_raw())


@dataclasses.dataclass(frozen=True, slots=True)
class Signature:
    """What a signature file says."""

    algorithm: bytes
    id: bytes
    signature: bytes
    comment: str
    proof: bytes


def sign(content: bytes, key: SecretKey, comment: str) -> bytes:
    """The signature file for ``content``. Equal arguments give equal bytes; ``comment`` is one line and is signed."""
    return sign_digest(hashlib.blake2b(content).digest(), key, comment)


def sign_digest(digest: bytes, key: SecretKey, comment: str) -> bytes:
    """The signature file of a file whose BLAKE2b-512 hash is ``digest``."""
    private = _private(key.seed)
    signature = private.sign(digest)
    proof = private.sign(signature + comment.encode())
    lines = (
        f"{_UNTRUSTED}signature from farm secret key {key.public.hex}",
        base64.b64encode(PREHASHED + key.id + signature).decode(),
        f"{_TRUSTED}{comment}",
        base64.b64encode(proof).decode(),
    )
    return "".join(f"{line}\n" for line in lines).encode()


def verify(content: bytes, signature: bytes | None, trusted: Iterable[PublicKey]) -> Signature:
    """Checks that one of the trusted keys signed ``content``; says what was signed.

    FarmError: ``no-signature``, ``bad-signature`` (it is not of these bytes, or no signature), ``untrusted-key``.
    """
    return _verify(hashlib.blake2b(content).digest(), content, signature, trusted)


def verify_digest(digest: bytes, signature: bytes | None, trusted: Iterable[PublicKey]) -> Signature:
    """The same for a large file whose BLAKE2b-512 hash is ``digest``. The old algorithm is refused."""
    return _verify(digest, None, signature, trusted)


def _verify(digest: bytes, content: bytes | None, signature: bytes | None, trusted: Iterable[PublicKey]) -> Signature:
    if signature is None:
        raise error("no-signature", "it is not signed", hint="ask its maker to sign it, or do not ask for a signature")
    found = parse_signature(signature)
    if content is None and found.algorithm == LEGACY:
        hint = "sign it again with a minisign of 0.10 or later"
        raise error("bad-signature", "the signature is of minisign's old kind, which is not for large files", hint=hint)
    keys = [key for key in trusted if key.id == found.id]
    if not keys:
        hint = "if you know whose it is, and have checked that, add it with `farm key trust`"
        name = found.id[::-1].hex().upper()
        raise error("untrusted-key", f"it is signed with the key {name}, which is not trusted", hint=hint)
    if not any(_is_of(digest, content, found, key) for key in keys):
        raise error("bad-signature", "the signature is not of these bytes: somebody or something changed them")
    return found


def parse_signature(content: bytes) -> Signature:
    """The parts of a signature file, nothing verified. FarmError ``bad-signature``."""
    try:
        if len(content) > MAX_BYTES:
            raise ValueError("too large")
        lines = content.decode().replace("\r\n", "\n").split("\n")
        raw = base64.b64decode(lines[1], validate=True)
        proof = base64.b64decode(lines[3], validate=True)
        if not lines[0].startswith(_UNTRUSTED) or not lines[2].startswith(_TRUSTED):
            raise ValueError("no comments")
        if len(raw) != 74 or len(proof) != 64 or raw[:2] not in (PREHASHED, LEGACY):
            raise ValueError("wrong sizes")
    except (ValueError, IndexError) as problem:
        raise error("bad-signature", f"not a minisign signature: {problem}") from problem
    return Signature(raw[:2], raw[2:10], raw[10:], lines[2][len(_TRUSTED) :], proof)


def _is_of(digest: bytes, content: bytes | None, found: Signature, key: PublicKey) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    public = Ed25519PublicKey.from_public_bytes(key.key)
    message = digest if found.algorithm == PREHASHED or content is None else content
    try:
        public.verify(found.signature, message)
        public.verify(found.proof, found.signature + found.comment.encode())
    except InvalidSignature:
        return False
    return True


def _private(seed: bytes) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)
