# SPDX-License-Identifier: GPL-3.0-or-later
"""The nouns of a plan: nodes that refer to each other by name, and the jobs they become.

A *node* says what has to be made; it may refer to what other nodes will make (`Made`). When those are
made, `Node.resolve` puts their digests in and gives an action whose `document` holds all that the action
reads. The sha256 of the canonical JSON of that document is the key. No path, time or host name is in it.

Digests are 64 lower-case hex digits of a sha256. A *layer digest* is the sha256 of the layer's canonical
tar (see docs/store.md), a *blob digest* that of a file's bytes.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

Digest = str
What = Literal["layer", "package", "blob"]

WORKDIR = "/luetbuild"
"""Where a spec's folder is in a job's root, and the working directory of its steps (as luet has it)."""

EPOCH = 1700000000
"""Default SOURCE_DATE_EPOCH in seconds: times in layers and packages are never later than the job's."""


@dataclasses.dataclass(frozen=True, slots=True)
class Made:
    """What another node of the plan makes."""

    node: str
    what: What


Ref = Digest | Made


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What a job may use. Not part of the key. Times in seconds, sizes in bytes; None: no limit.

    ``expected`` is no limit: how long it takes, as far as its author knows; None: not known.
    """

    cores: int = 1
    memory: int | None = None
    disk: int | None = None
    processes: int = 16384
    timeout: float | None = None
    silent_timeout: float | None = None
    expected: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class FileInput:
    """A file, link or folder put into the job's root before it runs.

    ``dest`` is absolute inside the root. ``digest`` is the blob of a regular file; ``link`` the target of a
    symbolic link; neither: a directory. ``origin`` is where the content lies on this host until the store
    has it (not part of the key; its digest is checked when it is read).
    """

    dest: str
    digest: Ref | None = None
    mode: int = 0o644
    link: str | None = None
    origin: str | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class ArchiveInput:
    """An archive (tar with any of gz, bz2, xz, zst, or zip, deb) unpacked into folder ``dest``.

    ``strip`` leading path components are removed; entries with fewer are left out. Owners become 0:0.
    ``origin`` as in `FileInput`.
    """

    digest: Ref
    dest: str
    strip: int = 0
    origin: str | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class CopyInput:
    """``COPY --from``: ``source`` of the merged root of ``layers`` (lowest first) put at ``dest``.

    Docker's rules: a directory's content goes into ``dest``; a file goes to ``dest``, or into it where
    ``dest`` ends in ``/``. Globs are allowed in ``source``. Owners become 0:0, modes and times are kept.
    """

    layers: tuple[Ref, ...]
    source: str
    dest: str


Input = FileInput | ArchiveInput | CopyInput


@dataclasses.dataclass(frozen=True, slots=True)
class Bind:
    """A folder that outlives the job, at ``target`` (absolute) in its root. It is never part of what the job makes.

    ``cache`` is the name of a folder that the store keeps; else ``host`` is a folder of this host (absolute; not
    part of the key). What lies in it is no part of the key either: where it decides what is made, use ``Job.once``.
    """

    target: str
    cache: str = ""
    host: str = dataclasses.field(default="", compare=False)
    read_only: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """A build in an isolated root. This is all that a runner gets to know.

    The root is the overlay of ``layers`` (lowest first) and of one more layer made of ``inputs``. Each of
    ``prelude`` and then ``steps`` runs as its own ``/bin/sh -c`` in ``workdir``; the first that fails ends
    the job. What changed in the root becomes the job's layer; changes below ``workdir`` are left out of it
    unless ``keep_workdir``. ``env`` is complete: nothing of the host's is added.

    The layer of ``inputs`` hides whatever lower layers have at ``workdir``. Without ``fresh_workdir`` there is
    no such layer (``inputs`` is empty then): the job goes on in the folder that its layers hold.

    ``once`` is any text: jobs that differ in it only have different keys. With ``on_host`` the job is not isolated:
    its commands run on this host, with the host's files and network, and the root is mounted at that folder, for
    the job alone. That is for what the user allowed by name; the sandbox only.
    ``platform`` is that of the root's programs; ``target`` that of what is made, where it is another (a cross build).
    """

    layers: tuple[Ref, ...] = ()
    inputs: tuple[Input, ...] = ()
    prelude: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    network: bool = False
    platform: str = "linux/amd64"
    workdir: str = WORKDIR
    keep_workdir: bool = False
    fresh_workdir: bool = True
    epoch: int = EPOCH
    limits: Limits = dataclasses.field(default=Limits(), compare=False)
    binds: tuple[Bind, ...] = ()
    once: str = ""
    on_host: str = ""
    target: str = ""

    @property
    def commands(self) -> tuple[str, ...]:
        """All commands in the order they run."""
        return self.prelude + self.steps


PackRule = Literal["empty", "delta", "dir", "root"]


@dataclasses.dataclass(frozen=True, slots=True)
class Pack:
    """Makes a package tarball out of layers. Done by the store; nothing runs.

    ``rule``: ``empty`` (no entry at all), ``delta`` (what the *last* layer adds or changes),
    ``dir`` (the content of folder ``root`` of the merged layers), ``root`` (the whole merged root).
    ``includes`` and ``excludes`` are Go regular expressions matched, unanchored, against ``/path``.
    What lies below ``workdir`` is never packed unless ``root`` is inside it.
    """

    layers: tuple[Ref, ...] = ()
    rule: PackRule = "empty"
    root: str = "/"
    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    compression: Literal["none", "gzip", "zstd"] = "zstd"
    epoch: int = EPOCH


@dataclasses.dataclass(frozen=True, slots=True)
class Fetch:
    """Brings a source into the store, verified by ``sha256``. Tried in the order of ``urls``.

    A URL is ``https://…``, ``http://…``, ``file:///…`` or ``apt:pool/…`` (a path below any mirror that the
    host's own apt is set up with). URLs are not part of the key.
    """

    sha256: Digest
    urls: tuple[str, ...] = dataclasses.field(compare=False)
    size: int | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Seed:
    """Makes a base layer from outside the farm.

    kind ``debootstrap``: ``suite`` (``host``: the host's own release), ``packages``, ``variant``, and
    ``date``, a free label that has to change for a new one to be made. kind ``archive``: a root tarball
    ``url`` (any URL of `Fetch`, or a path) with ``sha256``. kind ``docker``: a local image's name in ``image``.
    kind ``scratch``: nothing.
    """

    kind: Literal["debootstrap", "archive", "docker", "scratch"]
    suite: str = ""
    variant: str = "minbase"
    packages: tuple[str, ...] = ()
    components: tuple[str, ...] = ("main",)
    date: str = ""
    url: str = ""
    sha256: str = ""
    image: str = ""
    platform: str = "linux/amd64"


@dataclasses.dataclass(frozen=True, slots=True)
class Assemble:
    """Makes a layer out of inputs that stay in the root (``copy:`` of a spec). Nothing runs.

    ``layers`` are what lies below: folders that exist there keep their mode and owner. With ``workdir``
    that folder is made too, and hides what lower layers have there.
    """

    layers: tuple[Ref, ...]
    inputs: tuple[Input, ...]
    workdir: str | None = None
    epoch: int = EPOCH


@dataclasses.dataclass(frozen=True, slots=True)
class Unpack:
    """Makes a layer out of a package's tarball, so that a root can be joined from finished packages."""

    package: Ref


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """Something that a product makes with its own code: an image of a root, a root that its client puts together.

    ``maker`` names who makes it (`farm.engine.making.Making`). It reads nothing but ``layers`` (lowest first),
    ``blobs``, ``settings`` (names and values), and, which is not part of the key, ``local``: what it has to know of
    this host. It gives a layer or a blob, as its maker has it.
    """

    maker: str
    layers: tuple[Ref, ...] = ()
    blobs: tuple[Ref, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    local: tuple[tuple[str, str], ...] = dataclasses.field(default=(), compare=False)

    def setting(self, name: str) -> str:
        """The value of a setting, also of a local one; empty when it has none."""
        return dict((*self.local, *self.settings)).get(name, "")


Action = Job | Pack | Fetch | Seed | Assemble | Unpack | Work
