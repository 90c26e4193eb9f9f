# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures and keys; Debian's minisign (package minisign) is the judge of the format."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from workshop import Workshop

from farm.spec.problem import FarmError
from farm.store.keys import Keyring, public_text, read_public, read_secret, scrypt_parameters, secret_text
from farm.store.signature import PublicKey, SecretKey, parse_signature, sign, verify
from farm.wagon.check import check_wagon
from farm.wagon.revisions import WagonFolder
from farm.wagon.rollback import roll_back

KEY = SecretKey(b"12345678", bytes(range(32)))
OTHER = SecretKey(b"abcdefgh", bytes(32))

needs_minisign = pytest.mark.skipif(shutil.which("minisign") is None, reason="minisign is not installed")


def no_password() -> str:
    raise AssertionError("no password is needed")


def refused(work: object) -> str:
    """The problem's code."""
    with pytest.raises(FarmError) as caught:
        work()  # type: ignore[operator]
    return caught.value.code


def minisign(*words: str | Path, say: str = "") -> subprocess.CompletedProcess[str]:
    """Runs Debian's program."""
    return subprocess.run(["minisign", *map(str, words)], capture_output=True, text=True, input=say, check=False)


def test_signed_and_verified() -> None:
    signature = sign(b"content", KEY, "wagon test revision 1")
    assert signature == sign(b"content", KEY, "wagon test revision 1")
    found = verify(b"content", signature, [OTHER.public, KEY.public])
    assert (found.comment, found.id) == ("wagon test revision 1", KEY.id)


def test_what_is_refused() -> None:
    signature = sign(b"content", KEY, "comment")
    assert refused(lambda: verify(b"content", None, [KEY.public])) == "no-signature"
    assert refused(lambda: verify(b"Content", signature, [KEY.public])) == "bad-signature"
    assert refused(lambda: verify(b"content", signature, [])) == "untrusted-key"
    assert refused(lambda: verify(b"content", signature, [OTHER.public])) == "untrusted-key"
    impostor = PublicKey(KEY.id, OTHER.public.key)
    assert refused(lambda: verify(b"content", signature, [impostor])) == "bad-signature"
    other_comment = signature.replace(b"comment: comment", b"comment: Comment")
    assert refused(lambda: verify(b"content", other_comment, [KEY.public])) == "bad-signature"


def test_every_flipped_bit_is_seen() -> None:
    signature = sign(b"content", KEY, "c")
    lines = signature.decode().split("\n")
    for number in (1, 3):
        raw = bytearray(base64.b64decode(lines[number]))
        for index in range(len(raw)):
            raw[index] ^= 1
            changed = [*lines]
            changed[number] = base64.b64encode(raw).decode()
            with pytest.raises(FarmError):
                verify(b"content", "\n".join(changed).encode(), [KEY.public])
            raw[index] ^= 1


@pytest.mark.parametrize(
    "content", [b"", b"a\nb\nc\nd\n", b"\xff" * 100, b"x" * 100_000, b"untrusted comment: x\nAAAA\n"]
)
def test_what_is_no_signature(content: bytes) -> None:
    assert refused(lambda: parse_signature(content)) == "bad-signature"


def test_key_files() -> None:
    assert read_public(public_text(KEY.public), "x") == KEY.public
    assert read_public(KEY.public.text, "x") == KEY.public
    assert read_secret(secret_text(KEY).encode(), "x", no_password) == KEY
    encrypted = secret_text(KEY, "secret").encode()
    assert read_secret(encrypted, "x", lambda: "secret") == KEY
    assert refused(lambda: read_secret(encrypted, "x", lambda: "Secret")) == "wrong-password"
    assert repr(KEY.seed) not in repr(KEY)
    for text in ("", "x", "untrusted comment: x\n!!!", KEY.public.text[:-4]):
        assert refused(lambda text=text: read_public(text, "x")) == "bad-key"  # type: ignore[misc]
        assert refused(lambda text=text: read_secret(text.encode(), "x", no_password)) == "bad-key"  # type: ignore[misc]


def test_a_keyring(tmp_path: Path) -> None:
    keyring = Keyring.of_user({"HOME": str(tmp_path)})
    assert keyring.trusted() == ()
    key = keyring.new("mine")
    assert keyring.folder == tmp_path / ".config" / "farm"
    assert (keyring.folder / "keys" / "mine.key").stat().st_mode & 0o777 == 0o600
    assert keyring.secret("mine", no_password) == key
    assert keyring.trusted() == keyring.own() == (key.public,)
    keyring.trust(KEY.public, "theirs")
    keyring.trust(KEY.public, "theirs")
    assert set(keyring.trusted()) == {key.public, KEY.public}
    assert keyring.public("theirs") == keyring.public(KEY.public.text) == KEY.public
    assert refused(lambda: keyring.new("mine")) == "key-exists"
    assert refused(lambda: keyring.trust(OTHER.public, "theirs")) == "key-exists"
    assert refused(lambda: keyring.new("../x")) == "bad-name"
    assert refused(lambda: keyring.secret("none", no_password)) == "no-key"
    assert refused(lambda: keyring.public("none")) == "no-key"


@needs_minisign
@pytest.mark.parametrize("algorithm", ["-H", "-l"])
def test_we_verify_what_minisign_signs(tmp_path: Path, algorithm: str) -> None:
    public, secret, file = tmp_path / "k.pub", tmp_path / "k.key", tmp_path / "file"
    assert minisign("-G", "-W", "-p", public, "-s", secret).returncode == 0
    file.write_bytes(b"content")
    assert minisign("-S", algorithm, "-s", secret, "-m", file, "-t", "a comment").returncode == 0
    key = read_public(public.read_text(), "x")
    signature = (tmp_path / "file.minisig").read_bytes()
    assert verify(b"content", signature, [key]).comment == "a comment"
    assert read_secret(secret.read_bytes(), "x", no_password).public == key


@needs_minisign
def test_minisign_verifies_what_we_sign(workshop: Workshop, tmp_path: Path) -> None:
    workshop.create(key=KEY)
    file = workshop.output / "repository.yaml"
    done = minisign("-V", "-P", KEY.public.text, "-m", file)
    assert done.returncode == 0, done.stderr
    assert "wagon test revision 1" in done.stdout
    assert minisign("-V", "-P", OTHER.public.text, "-m", file).returncode != 0
    key_file, other = tmp_path / "our.key", tmp_path / "other"
    key_file.write_text(secret_text(KEY))
    other.write_bytes(b"content")
    assert minisign("-S", "-W", "-s", key_file, "-m", other).returncode == 0
    assert verify(b"content", (tmp_path / "other.minisig").read_bytes(), [KEY.public])


@needs_minisign
def test_minisign_takes_our_encrypted_key(tmp_path: Path) -> None:
    key_file, file = tmp_path / "our.key", tmp_path / "file"
    key_file.write_text(secret_text(KEY, "secret"))
    file.write_bytes(b"content")
    done = minisign("-S", "-s", key_file, "-m", file, say="secret\n")
    assert done.returncode == 0, done.stderr
    assert verify(b"content", (tmp_path / "file.minisig").read_bytes(), [KEY.public])


@pytest.mark.parametrize(
    ("operations", "memory", "expected"),
    [(1 << 22, 1 << 27, (1 << 17, 8, 1)), (33554432, 1 << 30, (1 << 20, 8, 1)), (524288, 16777216, (1 << 14, 8, 1))],
)
def test_scrypt_parameters_are_libsodiums(operations: int, memory: int, expected: tuple[int, int, int]) -> None:
    assert scrypt_parameters(operations, memory) == expected


def test_a_signed_wagon(workshop: Workshop) -> None:
    created = workshop.create(key=KEY)
    assert created.signed
    verdict = check_wagon(workshop.output, [KEY.public], signature=True)
    assert (verdict.signed, verdict.problems) == (KEY.public.hex, ())
    assert WagonFolder(workshop.output).signature(1) == WagonFolder(workshop.output).signature()
    codes = [problem.code for problem in check_wagon(workshop.output, [OTHER.public], signature=True).problems]
    assert codes == ["untrusted-key"]
    assert refused(lambda: workshop.create(description="new")) == "wagon-is-signed"
    workshop.create(description="new", key=KEY)
    assert refused(lambda: roll_back(workshop.output)) == "wagon-is-signed"
    roll_back(workshop.output, key=KEY)
    assert check_wagon(workshop.output, [KEY.public], signature=True).problems == ()
    workshop.create(description="newer", unsigned=True)
    assert WagonFolder(workshop.output).signature() is None
    assert not check_wagon(workshop.output, [KEY.public], signature=False).problems


def test_signing_changes_no_revision(workshop: Workshop) -> None:
    workshop.create()
    created = workshop.create(key=KEY)
    assert (created.changed, created.signed, created.repository.revision) == (False, True, 1)
    assert check_wagon(workshop.output, [KEY.public], signature=True).problems == ()


def test_a_changed_repository_is_found(workshop: Workshop) -> None:
    workshop.create(key=KEY)
    file = workshop.output / "repository.yaml"
    file.write_bytes(file.read_bytes().replace(b"revision: 1", b"revision: 2"))
    for required in (True, False):
        problems = check_wagon(workshop.output, [KEY.public], signature=required).problems
        assert [problem.code for problem in problems] == ["bad-signature"]
