# SPDX-License-Identifier: GPL-3.0-or-later
"""Key files in minisign's format, the user's own keys, and the keys that the user trusts.

Source of the formats: minisign(1), "Notes"; libsodium's ``crypto_pwhash_scryptsalsa208sha256``. Own keys are in
``~/.config/farm/keys/NAME.key`` and ``.pub``, trusted ones in ``~/.config/farm/trusted-keys/NAME.pub``.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from farm.spec.problem import Place, error
from farm.store.signature import LEGACY, MAX_BYTES, PublicKey, SecretKey

_LAYOUT = struct.Struct("<2s2s2s32sQQ104s")
_SCRYPT, _PLAIN, _BLAKE2B = b"Sc", b"\0\0", b"B2"
_OPERATIONS, _MEMORY = 1 << 22, 1 << 27
_MOST_MEMORY = 1 << 30
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*")
_COMMENT = "untrusted comment: "

Ask = Callable[[], str]
"""Asks for a password."""


@dataclasses.dataclass(frozen=True, slots=True)
class Keyring:
    """The user's folder of keys."""

    folder: Path

    @classmethod
    def of_user(cls, environ: Mapping[str, str] = os.environ) -> Keyring:
        """The one in the user's configuration."""
        home = Path(environ.get("HOME") or "~").expanduser()
        return cls(Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "farm")

    def new(self, name: str, password: str = "") -> SecretKey:
        """Makes a key and keeps it, with its public part. FarmError ``bad-name``, ``key-exists``."""
        path, public = self._own(name, ".key"), self._own(name, ".pub")
        if path.exists() or public.exists():
            raise error("key-exists", f"there is a key {name} already: {path}", hint="give another name with --name")
        key = SecretKey(os.urandom(8), os.urandom(32))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(path, secret_text(key, password), 0o600)
        _write_new(public, public_text(key.public), 0o644)
        return key

    def secret(self, name: str, ask: Ask) -> SecretKey:
        """The user's key of that name, or that in a file. FarmError ``no-key``, ``bad-key``, ``wrong-password``."""
        path = Path(name) if "/" in name or Path(name).is_file() else self._own(name, ".key")
        return read_secret(_read(path), str(path), ask)

    def public(self, name: str) -> PublicKey:
        """A public key: the user's own or a trusted one by name, a file, or the key itself. FarmError ``no-key``."""
        for path in (Path(name), self._own_or_none(name), self._trusted_or_none(name)):
            if path is not None and path.is_file():
                return read_public(_read(path).decode("utf-8", "replace"), str(path))
        if len(name) == 56:
            return read_public(name, "the key given")
        raise error(
            "no-key", f"no key {name!r}", hint="give a file, a key of `farm key show`, or the 56 letters of a key"
        )

    def trust(self, key: PublicKey, name: str) -> Path:
        """Trusts a key from now on. FarmError ``bad-name``; ``key-exists`` when another has the name."""
        path = self.folder / "trusted-keys" / f"{_checked(name)}.pub"
        if path.exists() and read_public(path.read_text(), str(path)) != key:
            raise error(
                "key-exists", f"another key is trusted under the name {name}: {path}", hint="give another --name"
            )
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(public_text(key))
        return path

    def trusted(self) -> tuple[PublicKey, ...]:
        """All keys that are trusted; one's own are, too."""
        found = [*self._files("trusted-keys"), *self._files("keys")]
        return tuple(dict.fromkeys(read_public(path.read_text(), str(path)) for path in found))

    def own(self) -> tuple[PublicKey, ...]:
        """The public parts of the user's keys."""
        return tuple(read_public(path.read_text(), str(path)) for path in self._files("keys"))

    def _files(self, name: str) -> list[Path]:
        folder = self.folder / name
        return sorted(folder.glob("*.pub")) if folder.is_dir() else []

    def _own(self, name: str, end: str) -> Path:
        return self.folder / "keys" / f"{_checked(name)}{end}"

    def _own_or_none(self, name: str) -> Path | None:
        return self._own(name, ".pub") if _NAME.fullmatch(name) else None

    def _trusted_or_none(self, name: str) -> Path | None:
        return self.folder / "trusted-keys" / f"{name}.pub" if _NAME.fullmatch(name) else None


def public_text(key: PublicKey) -> str:
    """The file of a public key."""
    return f"{_COMMENT}minisign public key {key.hex}\n{key.text}\n"


def read_public(text: str, name: str) -> PublicKey:
    """The key of a public key file, or of its second line alone. FarmError ``bad-key``."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(_COMMENT)]
    try:
        raw = base64.b64decode(lines[0].strip(), validate=True)
        if len(raw) != 42 or raw[:2] != LEGACY:
            raise ValueError("wrong size or algorithm")
    except (ValueError, IndexError) as problem:
        raise error("bad-key", f"not a minisign public key: {problem}", place=Place(name)) from problem
    return PublicKey(raw[2:10], raw[10:], Path(name).stem)


def secret_text(key: SecretKey, password: str = "") -> str:
    """The file of a secret key, encrypted if there is a password."""
    body = key.id + key.seed + key.public.key
    body += _checksum(body)
    kind, salt, operations, memory = _PLAIN, bytes(32), 0, 0
    if password:
        kind, salt, operations, memory = _SCRYPT, os.urandom(32), _OPERATIONS, _MEMORY
        body = _mask(body, password, salt, operations, memory)
    raw = _LAYOUT.pack(LEGACY, kind, _BLAKE2B, salt, operations, memory, body)
    encrypted = "encrypted " if password else ""
    return f"{_COMMENT}minisign {encrypted}secret key\n{base64.b64encode(raw).decode()}\n"


def read_secret(content: bytes, name: str, ask: Ask) -> SecretKey:
    """The key of a secret key file. FarmError ``bad-key``, ``wrong-password``."""
    lines = content.decode("utf-8", "replace").splitlines()
    try:
        raw = base64.b64decode(lines[1], validate=True)
        algorithm, kind, checksum, salt, operations, memory, body = _LAYOUT.unpack(raw)
        if (algorithm, checksum) != (LEGACY, _BLAKE2B) or kind not in (_SCRYPT, _PLAIN) or memory > _MOST_MEMORY:
            raise ValueError("unknown algorithm")
    except (ValueError, IndexError, struct.error) as problem:
        raise error("bad-key", f"not a minisign secret key: {problem}", place=Place(name)) from problem
    if kind == _SCRYPT:
        body = _mask(body, ask(), salt, operations, memory)
    key = SecretKey(body[:8], body[8:40])
    # minisign 0.11 leaves the checksum of a key without password empty
    whole = body[72:] == _checksum(body[:72]) or (kind == _PLAIN and not any(body[72:]))
    if not whole or key.public.key != body[40:72]:
        raise error("wrong-password", "the password is wrong, or the key file is damaged", place=Place(name))
    return key


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(LEGACY + body, digest_size=32).digest()


def _mask(body: bytes, password: str, salt: bytes, operations: int, memory: int) -> bytes:
    """Encrypts and decrypts: exclusive-or with a stream that scrypt makes of the password."""
    n, r, p = scrypt_parameters(operations, memory)
    stream = hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=128 * r * (n + p + 2), dklen=len(body))
    return bytes(a ^ b for a, b in zip(body, stream, strict=True))


def scrypt_parameters(operations: int, memory: int) -> tuple[int, int, int]:
    """N, r and p from libsodium's two limits (``pickparams`` of its scrypt)."""
    operations, r = max(operations, 32768), 8
    small = operations < memory // 32
    most = operations // (r * 4) if small else memory // (r * 128)
    log2 = next(n for n in range(1, 64) if n == 63 or 1 << n > most // 2)
    p = 1 if small else max(1, min(operations // 4 // (1 << log2), 0x3FFFFFFF) // r)
    return 1 << log2, r, p


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise error("bad-name", f"{name!r} is no name for a key", hint="use letters, digits and _ . @ + -")
    return name


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES)
    except OSError as problem:
        hint = "make one with `farm key new`, or name its file"
        raise error("no-key", f"{path}: {problem.strerror}", hint=hint) from problem


def _write_new(path: Path, text: str, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(fd, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)
