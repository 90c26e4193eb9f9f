# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror in an S3 bucket (boto3; the extra ``s3``). Objects carry their hashes as mark-devkit writes them:
user metadata ``sha512`` and ``blake2b``."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from farm.kit.manifest import Distfile
from farm.spec.problem import FarmError, error

Result = TypeVar("Result")

_KINDS = {"SHA512": "sha512", "BLAKE2B": "blake2b"}
_CHUNK = 1 << 20
_MISSING = ("404", "NoSuchKey", "NotFound")


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """How to reach a bucket. ``endpoint``: an address, or ``host[:port]``, which is asked by https."""

    endpoint: str
    bucket: str
    key: str
    secret: str = dataclasses.field(repr=False)
    prefix: str = ""
    region: str = ""


class Bucket:
    """A mirror below ``account.prefix``."""

    name = "s3"

    def __init__(self, account: Account) -> None:
        self.account = account
        self._prefix = account.prefix.strip("/")
        self._client = _client(account)

    def has(self, path: str, line: Distfile, *, size_only: bool) -> bool:
        """See `Backend`. An object without hashes in its metadata is read and hashed."""
        head = self._ask(lambda: self._client.head_object(Bucket=self.account.bucket, Key=self._key(path)))
        if head is None or head["ContentLength"] != line.size:
            return False
        if size_only:
            return True
        metadata = {name.lower(): value for name, value in (head.get("Metadata") or {}).items()}
        noted = {kind: metadata.get(name) for kind, name in _KINDS.items() if kind in line.hashes}
        known = {kind: value for kind, value in noted.items() if value}
        if known:
            return all(value == line.hashes[kind] for kind, value in known.items())
        return self._hashes(path, line) == {kind: line.hashes[kind] for kind in _KINDS if kind in line.hashes}

    def put(self, path: str, file: Path, line: Distfile) -> None:
        """See `Backend`. An upload in parts is visible when its last part is there, or not at all."""
        metadata = {name: line.hashes[kind] for kind, name in _KINDS.items() if kind in line.hashes}
        extra = {"Metadata": metadata}
        self._ask(
            lambda: self._client.upload_file(str(file), self.account.bucket, self._key(path), ExtraArgs=extra) or True
        )

    def put_text(self, path: str, content: bytes) -> None:
        """See `Backend`."""
        key, bucket = self._key(path), self.account.bucket
        there = self._ask(lambda: self._client.get_object(Bucket=bucket, Key=key))
        if there is None or there["Body"].read(len(content) + 1) != content:
            self._ask(lambda: self._client.put_object(Bucket=bucket, Key=key, Body=content))

    def _hashes(self, path: str, line: Distfile) -> dict[str, str]:
        makers = {kind: hashlib.new(name) for kind, name in _KINDS.items() if kind in line.hashes}
        there = self._ask(lambda: self._client.get_object(Bucket=self.account.bucket, Key=self._key(path)))
        if there is not None:
            for data in there["Body"].iter_chunks(_CHUNK):
                for maker in makers.values():
                    maker.update(data)
        return {kind: maker.hexdigest() for kind, maker in makers.items()}

    def _ask(self, call: Callable[[], Result]) -> Result | None:
        """What the service answers; None where there is no such object. FarmError ``mirror-failed``."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call()
        except ClientError as fault:
            code = fault.response.get("Error", {}).get("Code", "")
            if code in _MISSING:
                return None
            raise self._failed(str(fault)) from None
        except (Boto3Error, BotoCoreError) as fault:
            raise self._failed(str(fault), transient=True) from None

    def _failed(self, reason: str, *, transient: bool = False) -> FarmError:
        where = f"bucket {self.account.bucket} at {self.account.endpoint}"
        hint = "are the endpoint, the key id and the secret right?"
        return error("mirror-failed", f"{where}: {reason}", transient=transient, hint=hint)

    def _key(self, path: str) -> str:
        return f"{self._prefix}/{path}" if self._prefix else path


def account_of(options: Mapping[str, str | None], environ: Mapping[str, str]) -> Account:
    """From options ``bucket``, ``endpoint``, ``keyid``, ``secret``, ``prefix``, ``region``, else ``MINIO_…``.

    FarmError ``no-bucket`` with all that is missing.
    """
    variables = {
        "bucket": "BUCKET",
        "endpoint": "URL",
        "keyid": "ID",
        "secret": "SECRET",
        "prefix": "PREFIX",
        "region": "REGION",
    }
    found = {name: options.get(name) or environ.get(f"MINIO_{variable}", "") for name, variable in variables.items()}
    missing = [name for name in ("bucket", "endpoint", "keyid", "secret") if not found[name]]
    if missing:
        hint = "give " + ", ".join(f"--minio-{name} or MINIO_{variables[name]}" for name in missing)
        raise error("no-bucket", f"the backend s3 needs its {', '.join(missing)}", hint=hint)
    return Account(
        found["endpoint"], found["bucket"], found["keyid"], found["secret"], found["prefix"], found["region"]
    )


def _client(account: Account) -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        raise error("no-boto3", "the backend s3 needs boto3", hint="pip install 'farm[s3]'") from None
    config = Config(
        retries={"max_attempts": 4, "mode": "standard"},
        connect_timeout=15,
        read_timeout=60,
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    endpoint = account.endpoint if "://" in account.endpoint else f"https://{account.endpoint}"
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=account.key,
        aws_secret_access_key=account.secret,
        region_name=account.region or "us-east-1",
        config=config,
    )
