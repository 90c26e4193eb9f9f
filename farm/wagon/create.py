# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a wagon, or the next revision of one, out of spec trees and packages."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from farm.plan.job import EPOCH
from farm.spec.model import PackageId, Tree
from farm.spec.problem import FarmError, Problem, error
from farm.store.gc import sync
from farm.store.signature import SecretKey, sign
from farm.wagon.digests import Digests
from farm.wagon.edition import Edition, Offer
from farm.wagon.form import form_of
from farm.wagon.inputs import Collected, collect
from farm.wagon.placing import copy_file, write_file
from farm.wagon.platforms import named_for, platform_of
from farm.wagon.reading import Published, read_index
from farm.wagon.repository import RepoFile, Repository
from farm.wagon.revisions import WagonFolder
from farm.wagon.treefile import TarFile

KEEP = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What wagon is wanted. ``tree``: its packages; ``packages``: the folder of their tarballs; ``output``: the wagon.

    None of ``name``, ``description``, ``urls``, ``type``, ``priority``, ``tree_compression``, ``compilertree`` and
    ``legacy``: what the wagon has had if ``inherit``, else a default. ``platform``: None for what the wagon has had,
    else what its packages say; the name tells it, too. ``tree_filename``: a further name for the tree's tarball, for
    old scripts. ``keep``: the last so many revisions stay. ``bump_changed``: a package with other bytes than before
    gets the next version. ``key`` signs; ``unsigned`` allows a signed wagon to lose its signature. ``epoch``: what
    ``last_update`` says. ``cache``: where digests are remembered.
    """

    tree: Tree
    packages: Path
    output: Path
    name: str | None = None
    description: str | None = None
    urls: tuple[str, ...] | None = None
    type: str | None = None
    priority: int | None = None
    platform: str | None = None
    inherit: bool = False
    tree_compression: str | None = None
    tree_filename: str | None = None
    compilertree: bool | None = None
    legacy: bool | None = None
    reset_revision: bool = False
    keep: int = KEEP
    bump_changed: bool = False
    key: SecretKey | None = None
    unsigned: bool = False
    epoch: int | None = None
    cache: Path | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Created:
    """What became of it. ``changed``: there is a new revision. ``warnings`` are problems that stopped nothing."""

    repository: Repository
    changed: bool
    signed: bool
    packages: tuple[PackageId, ...]
    collected: Collected
    warnings: tuple[Problem, ...] = ()


def create_wagon(request: Request) -> Created:
    """Publishes the wagon in one step; does nothing when nothing changed.

    FarmError, before anything is changed: as `collect`; ``no-wagon`` (``inherit`` from none), ``missing-name``,
    ``foreign-package``, ``no-packages``, ``wagon-is-signed``, ``duplicate-file``.
    """
    folder = WagonFolder(request.output)
    digests = Digests(request.cache)
    collected = collect(request.tree, request.packages, digests)
    if not collected.stones:
        hint = "build some of them with `farm build --destination`, and name that folder with --packages"
        raise error("no-packages", f"{request.packages} has no package of the trees", hint=hint)
    with folder.changing():
        created = _Creation(request, folder, collected, digests).run()
    digests.save()
    return created


class _Creation:
    """One call, with the wagon's folder locked."""

    def __init__(self, request: Request, folder: WagonFolder, collected: Collected, digests: Digests) -> None:
        self.request = request
        self.folder = folder
        self.collected = collected
        self.digests = digests
        self.before = folder.current()
        self.warnings: list[Problem] = []
        self.copied = 0

    def run(self) -> Created:
        base = self._base()
        self._check_signing()
        edition = Edition(self.collected.stones, self._index(), self.request.packages, self.folder.path, self.digests)
        offers = edition.offers(bump_changed=self.request.bump_changed)
        self.warnings += edition.warnings
        for offer in offers:
            self._place(offer)
        if self.copied:
            sync(self.folder.path)
        files = dict(self._files(offers))
        wanted = dataclasses.replace(base, repo_files=files)
        ids = tuple(offer.id for offer in offers)
        if self.before and not self.request.reset_revision and wanted.same_content(self.before):
            return self._unchanged(ids)
        revision = 1 if self.request.reset_revision or self.before is None else self.before.revision + 1
        return self._publish(numbered(wanted, revision, self.request.epoch), ids)

    def _base(self) -> Repository:
        """The repository without revision and files."""
        before, request = self.before if self.request.inherit else None, self.request
        if request.inherit and self.before is None:
            raise error("no-wagon", f"no wagon in {request.output}", hint="make one with `farm wagon create`")
        if request.name is None and before is None:
            raise error("missing-name", "the wagon needs a name", hint="give it with --name")
        given = {
            key: value
            for key in ("name", "description", "urls", "type", "priority")
            if (value := getattr(request, key)) is not None
        }
        base = dataclasses.replace(before or Repository(""), repo_files={}, **given)
        platform = platform_of(self.collected.stones, request.platform, base.platform)
        return dataclasses.replace(base, name=named_for(base.name, platform), platform=platform)

    def _check_signing(self) -> None:
        if self.folder.signature() and not (self.request.key or self.request.unsigned):
            hint = "give the key with --key, or let the wagon lose its signature with --unsigned"
            raise error("wagon-is-signed", f"the wagon in {self.folder.path} is signed", hint=hint)

    def _index(self) -> Mapping[PackageId, Published]:
        """What the wagon offers up to now. One that cannot be read any more is as good as none."""
        if self.before is None:
            return {}
        try:
            return read_index(self.before, self.folder.open_file)
        except FarmError as failure:
            message = f"the wagon's revision {self.before.revision} cannot be read: {failure.problems[0].message}"
            self.warnings.append(Problem("damaged-revision", message, severity="warning"))
            return {}

    def _place(self, offer: Offer) -> None:
        for target, source in offer.copies.items():
            self.copied += 1
            if isinstance(source, bytes):
                write_file(target, source, durable=False)
            else:
                copy_file(source, target)

    def _files(self, offers: list[Offer]) -> Iterator[tuple[str, RepoFile]]:
        from farm.wagon.treecontent import write_compilertree, write_index, write_tree

        request = self.request
        had = form_of(self.before if request.inherit else None)
        form = had.changed(request.tree_compression, request.compilertree, request.legacy)
        with TarFile(self.folder.path, form.compression) as tar:
            write_tree(tar, offers)
            tree = tar.finish("tree")
        yield "treev2", tree
        if form.compilertree:
            with TarFile(self.folder.path, "zstd") as tar:
                write_compilertree(tar, request.tree.roots)
                yield "compilertree", tar.finish("compilertree")
        if form.legacy:
            yield "tree", tree
            with TarFile(self.folder.path, form.compression) as tar:
                write_index(tar, offers)
                yield "meta", tar.finish("repository", ".meta.yaml")

    def _publish(self, repository: Repository, ids: tuple[PackageId, ...]) -> Created:
        self._keep_foreign()
        signature = sign(repository.to_yaml(), self.request.key, comment_of(repository)) if self.request.key else None
        if self.request.reset_revision:
            self.folder.forget(self.folder.kept())
        self.folder.switch(repository, signature, self._aliases(repository))
        self.folder.retire(self.request.keep)
        return Created(repository, True, signature is not None, ids, self.collected, tuple(self.warnings))

    def _unchanged(self, ids: tuple[PackageId, ...]) -> Created:
        assert self.before is not None
        if self.request.key:
            content = self.folder.content()
            self.folder.sign(self.before, sign(content, self.request.key, comment_of(self.before)))
        signed = self.folder.signature() is not None
        return Created(self.before, False, signed, ids, self.collected, tuple(self.warnings))

    def _keep_foreign(self) -> None:
        """A revision that another tool made is kept, too, unless the further name takes the place of its tree."""
        names = {file.filename for file in self.before.repo_files.values()} if self.before else set()
        if self.before and self.before.revision not in self.folder.kept() and self.request.tree_filename not in names:
            with contextlib.suppress(FarmError):
                self.folder.keep(self.before)

    def _aliases(self, repository: Repository) -> list[tuple[str, str]]:
        name, tree = self.request.tree_filename, repository.repo_files["treev2"].filename
        return [(name, tree)] if name and name != tree else []


def numbered(repository: Repository, revision: int, epoch: int | None) -> Repository:
    """The repository as a revision. ``last_update`` is no time, unless ``epoch`` gives one: it counts revisions."""
    update = str(EPOCH + revision if epoch is None else epoch)
    return dataclasses.replace(repository, revision=revision, last_update=update)


def comment_of(repository: Repository) -> str:
    """The trusted comment of a wagon's signature."""
    return f"wagon {' '.join(repository.name.split())} revision {repository.revision}"


def epoch_of(environ: Mapping[str, str] = os.environ) -> int | None:
    """SOURCE_DATE_EPOCH; None when it is not set. FarmError ``bad-epoch``."""
    text = environ.get("SOURCE_DATE_EPOCH", "")
    if text and not text.isdecimal():
        raise error("bad-epoch", f"SOURCE_DATE_EPOCH is {text!r}", hint="it has to be seconds since 1970")
    return int(text) if text else None
