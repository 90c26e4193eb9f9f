# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a repository is who it says: the signature of its ``repository.yaml``, and through its digests of all.

A repository with ``key: …`` has to be signed with that minisign key, one with ``verify: true`` with one of the
keys that the user trusts (``farm key trust``). Without either, nothing is asked, as the Go client does.
"""

from __future__ import annotations

from collections.abc import Callable

from farm.client.config import ClientConfig, RepositoryConfig
from farm.spec.problem import FarmError
from farm.wagon.repository import read_repository

SIGNATURE = "repository.yaml.minisig"


def verify_signature(
    config: ClientConfig, repository: RepositoryConfig, content: bytes, read: Callable[[str], bytes]
) -> None:
    """Checks ``content`` of ``repository.yaml`` when the repository has to be signed.

    ``read`` gives another file of the wagon by its name. FarmError ``no-signature``, ``bad-signature``,
    ``untrusted-key``, ``bad-key``.
    """
    if not (repository.key or repository.verify):
        return
    from farm.store.keys import Keyring, read_public
    from farm.store.signature import verify

    trusted = (read_public(repository.key, repository.file),) if repository.key else Keyring.of_user().trusted()
    verify(content, _signature(content, read), trusted)


def _signature(content: bytes, read: Callable[[str], bytes]) -> bytes | None:
    """The signature; None when the wagon has none.

    The revision's own comes first: it is never replaced, so it fits whatever is published meanwhile.
    """
    for name in (f"revisions/{read_repository(content).revision}.yaml.minisig", SIGNATURE):
        try:
            return read(name)
        except FarmError as failure:
            if failure.transient:
                raise
    return None
