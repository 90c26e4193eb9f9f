# SPDX-License-Identifier: GPL-3.0-or-later
"""One package's nodes: from its build.yaml and the stacks it stands on to jobs and a package."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import hashlib
import posixpath
from collections.abc import Iterable, Mapping
from typing import Literal, Protocol, TypeVar

from farm.plan.environment import evaluate
from farm.plan.images import Images, seed_node_id
from farm.plan.job import (
    EPOCH,
    WORKDIR,
    Action,
    ArchiveInput,
    Assemble,
    CopyInput,
    Fetch,
    FileInput,
    Input,
    Job,
    Limits,
    Made,
    Pack,
    Unpack,
)
from farm.plan.node import Node
from farm.plan.platform import Choice, Platforms, cross_environment
from farm.plan.shell import shell_text
from farm.spec.assignment import assignment
from farm.spec.model import Build, CopyFrom, Package, Requirement, Source, Tree
from farm.spec.problem import FarmError, Place, Problem
from farm.spec.specdigest import SPEC_FILES

Compression = Literal["none", "gzip", "zstd"]

PRESET = (
    ("HOME", "/root"),
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("SOURCE_DATE_EPOCH", str(EPOCH)),
)
"""What every job's environment starts from."""

_SUFFIX = {"none": "", "gzip": ".gz", "zstd": ".zst"}
T = TypeVar("T")
_EXTRACTED_BY_ADD = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def tarball_name(fingerprint: str, compression: str) -> str:
    """What the tarball of a package (``NAME-CATEGORY-VERSION``) is called."""
    return f"{fingerprint}.package.tar{_SUFFIX[compression]}"


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What a plan depends on besides the tree."""

    platform: str = "linux/amd64"
    network: bool = False
    compression: Compression = "zstd"
    images: Images = dataclasses.field(default_factory=Images)
    limits: Limits = dataclasses.field(default_factory=Limits)
    platforms: Platforms = dataclasses.field(default_factory=Platforms)


@dataclasses.dataclass(frozen=True, slots=True)
class Stack:
    """What a package's root consists of when it is built, for those that stand on it.

    ``layers`` are lowest first; ``env`` has the ``ENV`` lines of each package below and its own, in the same
    order, by package node; ``seeds`` the nodes whose environment lies below them. ``pack`` is the node that
    makes the package ``package``; ``empty`` says that it holds nothing.
    """

    id: str
    layers: tuple[Made, ...]
    env: tuple[tuple[str, tuple[str, ...]], ...]
    seeds: tuple[str, ...]
    pack: str
    empty: bool
    package: str


class NodeSet:
    """Nodes by id. Two different nodes of one id get different ids."""

    def __init__(self) -> None:
        self.by_id: dict[str, Node] = {}

    def add(self, node: Node) -> str:
        """Adds a node unless it is there, and gives its id."""
        known = self.by_id.get(node.id)
        if known is not None and known != node:
            mark = hashlib.sha256(repr(node).encode()).hexdigest()[:8]
            node = dataclasses.replace(node, id=f"{node.id}~{mark}")
        self.by_id.setdefault(node.id, node)
        return node.id


class Planner(Protocol):
    """What a recipe needs to know of the whole plan."""

    tree: Tree
    options: Options
    nodes: NodeSet
    kept_workdirs: frozenset[tuple[str, str]]
    problems: Mapping[str, tuple[Problem, ...]]

    def copied(self, requirement: Requirement, above: Choice) -> Stack:
        """The stack of a package that files are copied from, for one that is made as ``above`` says."""

    def accelerating(self, requirement: Requirement) -> Stack:
        """The stack of the package that is put on top of emulated roots."""

    def retrieved(self, pattern: str, compression: str, above: Choice) -> list[tuple[str, Stack]]:
        """File names and stacks of the packages whose tarball's name matches."""


class Recipe:
    """Plans one package on top of the stacks of what it requires."""

    def __init__(self, planner: Planner, package: Package, below: tuple[Stack, ...], choice: Choice) -> None:
        self.planner = planner
        self.options = planner.options
        self.choice = choice
        self.name = f"{package.id}{self.options.platforms.mark(choice.target)}"
        self.package = package
        self.below = below
        if problems := planner.problems.get(str(package.id)):
            raise FarmError(problems)
        if package.build is None:
            hint = "add a build.yaml beside it (an empty one makes a package without files)"
            raise self._wrong("missing-build", "there is no build.yaml", hint)
        self.build: Build = package.build
        if self.build.platforms and choice.target not in self.build.platforms:
            known = ", ".join(self.build.platforms)
            raise self._wrong("wrong-platform", f"is not for {choice.target}", f"it is for {known}")

    def stack(self) -> Stack:
        """Adds the package's nodes and gives its stack."""
        layers, seeds = self._base()
        env = self._env()
        if copies := self._copies(inside=False):
            assemble = Assemble(layers, copies, epoch=self._epoch)
            layers = (*layers, Made(self._add(":copy", assemble), "layer"))
        made = self._jobs(layers, env, seeds)
        pack = self._pack(layers, made)
        name = pack.removesuffix(":package")
        return Stack(name, (*layers, *made), env, seeds, pack, self._rule == "empty", str(self.package.id))

    # What the root stands on

    def _base(self) -> tuple[tuple[Made, ...], tuple[str, ...]]:
        if self.build.image:
            return self._image(self.build.image)
        if self.build.requires_final_images:
            return tuple(self._unpacked(stack) for stack in self.below if not stack.empty), ()
        layers = _union(stack.layers for stack in self._sorted_below)
        return layers, _union(stack.seeds for stack in self._sorted_below)

    def _unpacked(self, stack: Stack) -> Made:
        """The layer of a finished package; one node for all that are joined from it."""
        unpack = Node(f"{stack.id}:unpacked", Unpack(Made(stack.pack, "package")), stack.package)
        return Made(self.planner.nodes.add(unpack), "layer")

    @functools.cached_property
    def _sorted_below(self) -> tuple[Stack, ...]:
        """As luet orders them: by name; what each stands on comes before it in any case."""
        return tuple(sorted(self.below, key=lambda stack: (stack.id.partition("/")[2], stack.id)))

    def _image(self, image: str) -> tuple[tuple[Made, ...], tuple[str, ...]]:
        if (root := self.options.images.root(image)) is not None:
            return root, ()
        seed = self.options.images.seed(image, self.choice.root, self._place)
        if seed.kind == "scratch":
            return (), ()
        mark = self.options.platforms.mark(seed.platform)
        name = self.planner.nodes.add(Node(seed_node_id(seed) + mark, seed))
        return (Made(name, "layer"),), (name,)

    def _env(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        inherits = not self.build.image and not self.build.requires_final_images
        below = _union(stack.env for stack in self._sorted_below) if inherits else ()
        identity = self.package.id
        own = (
            assignment("PACKAGE_NAME", identity.name),
            assignment("PACKAGE_VERSION", identity.version),
            assignment("PACKAGE_CATEGORY", identity.category),
            *(cross_environment(self.choice) if self.build.cross else ()),
            *self.build.env,
        )
        return (*below, (str(identity), own))

    @functools.cached_property
    def _epoch(self) -> int:
        """The package's SOURCE_DATE_EPOCH in seconds."""
        try:
            return int(
                evaluate([line for _, lines in self._env() for line in lines], dict(PRESET))["SOURCE_DATE_EPOCH"]
            )
        except ValueError:
            raise self._wrong("bad-env", "SOURCE_DATE_EPOCH is no whole number of seconds") from None
        except FarmError as failure:
            problem = failure.problems[0]
            raise self._wrong(problem.code, problem.message, problem.hint) from None

    # What is put into the root

    def _inputs(self) -> tuple[Input, ...]:
        text = "\n".join((*self.build.prelude, *self.build.steps))
        files = [
            FileInput(f"{WORKDIR}/{file.path}", file.sha256 or None, file.mode, file.link, file.origin)
            for file in self.package.files
            if file.path not in SPEC_FILES or file.path in text
        ]
        sources = [self._source(source) for source in self.build.sources if self._is_wanted(source)]
        return (*files, *sources, *self._copies(inside=True), *self._retrieved())

    def _is_wanted(self, source: Source) -> bool:
        return not source.platforms or self.choice.target in source.platforms

    def _source(self, source: Source) -> Input:
        fetch = Fetch(source.sha256, (source.url, *source.mirrors))
        name = self.planner.nodes.add(Node(f"source:{source.rename}:{source.sha256[:12]}", fetch))
        if source.unpack is None:
            return FileInput(f"{WORKDIR}/{source.rename}", Made(name, "blob"))
        folder = posixpath.normpath(posixpath.join(WORKDIR, source.unpack))
        return ArchiveInput(Made(name, "blob"), folder, source.strip)

    def _copies(self, *, inside: bool) -> tuple[Input, ...]:
        """``copy`` entries whose destination lies in (or outside) the working directory."""
        copies = []
        for copy in self.build.copy:
            slash = "/" if copy.destination.endswith(("/", "/.")) or copy.destination in ("", ".") else ""
            dest = posixpath.normpath(posixpath.join(WORKDIR, copy.destination))
            if (dest == WORKDIR or dest.startswith(WORKDIR + "/")) == inside:
                dest = dest if dest == "/" else dest + slash
                copies.append(CopyInput(self._copied_layers(copy), posixpath.join("/", copy.source), dest))
        return tuple(copies)

    def _copied_layers(self, copy: CopyFrom) -> tuple[Made, ...]:
        if copy.package:
            return self.planner.copied(copy.package, self.choice).layers
        layers, _ = self._image(copy.image)
        return layers

    def _retrieved(self) -> list[Input]:
        inputs: list[Input] = []
        for pattern in self.build.retrieve:
            if "://" in pattern:
                hint = "name it under `sources:` with its sha256"
                raise self._wrong("retrieve-url", f"retrieve of a URL cannot be verified: {pattern}", hint)
            found = self.planner.retrieved(pattern, self.options.compression, self.choice)
            inputs += [self._added(name, Made(stack.pack, "package")) for name, stack in found]
            own = [file for file in self.package.files if fnmatch.fnmatchcase(file.path, pattern) and file.sha256]
            archives = [file for file in own if file.path.endswith(_EXTRACTED_BY_ADD)]
            inputs += [ArchiveInput(file.sha256, WORKDIR, origin=file.origin) for file in archives]
            if not found and not own:
                hint = "the name of a package's tarball is " + tarball_name("NAME-CATEGORY-VERSION", "zstd")
                raise self._wrong("retrieve-nothing", f"no package's tarball matches {pattern!r}", hint)
        return inputs

    def _added(self, name: str, package: Made) -> Input:
        """As Dockerfile's ADD: known archives are unpacked, other files are put there as they are."""
        if name.endswith(_EXTRACTED_BY_ADD):
            return ArchiveInput(package, WORKDIR)
        return FileInput(f"{WORKDIR}/{name}", package)

    # Jobs and the package

    @functools.cached_property
    def _rule(self) -> Literal["empty", "delta", "dir", "root"]:
        if self.build.package_dir:
            return "dir"
        if self.build.unpack:
            return "root"
        return "delta" if self.build.steps else "empty"

    def _jobs(
        self, layers: tuple[Made, ...], env: tuple[tuple[str, tuple[str, ...]], ...], seeds: tuple[str, ...]
    ) -> tuple[Made, ...]:
        """The layers that the package's commands make: two where a delta must leave out the prelude's.

        Where the working directory is kept, what was put into it is a layer of its own below: files that no
        command touches are in the package, too.
        """
        if not self.build.prelude and not self.build.steps:
            return ()
        prelude = tuple(shell_text(text) for text in self.build.prelude)
        steps = tuple(shell_text(text) for text in self.build.steps)
        identity = self.package.id
        inside = posixpath.normpath(self.build.package_dir or "/").startswith(WORKDIR)
        layers = (*layers, *self._accelerator())
        job = Job(
            layers=layers,
            inputs=self._inputs(),
            prelude=prelude,
            steps=steps,
            network=self.options.network if self.build.network is None else self.build.network,
            platform=self.choice.root,
            target=self.choice.target if self.choice.how == "cross" else "",
            keep_workdir=inside or (identity.category, identity.name) in self.planner.kept_workdirs,
            epoch=self._epoch,
            limits=self._limits(),
        )
        apart = self._rule == "delta" and bool(prelude)
        if not apart and not (job.keep_workdir and job.inputs):
            return (Made(self._add_job("", job, env, seeds), "layer"),)
        context = Assemble(layers, job.inputs, WORKDIR, self._epoch)
        folder = Made(self._add(":workdir", context), "layer")
        going_on = dataclasses.replace(job, layers=(*layers, folder), inputs=(), fresh_workdir=False)
        if not apart:
            return folder, Made(self._add_job("", going_on, env, seeds), "layer")
        before = dataclasses.replace(going_on, steps=(), keep_workdir=True)
        first = Made(self._add_job(":prelude", before, env, seeds), "layer")
        after = dataclasses.replace(going_on, layers=(*going_on.layers, first), prelude=())
        return first, Made(self._add_job("", after, env, seeds), "layer")

    def _add_job(
        self, suffix: str, job: Job, env: tuple[tuple[str, tuple[str, ...]], ...], seeds: tuple[str, ...]
    ) -> str:
        lines = tuple(line for _, own in env for line in own)
        choice = self._shown_choice()
        return self.planner.nodes.add(Node(self.name + suffix, job, str(self.package.id), lines, seeds, PRESET, choice))

    def _shown_choice(self) -> Choice | None:
        """How the package's jobs run, with the reason; None for the usual way."""
        if self.choice.target == (self.options.platforms.build or self.choice.target):
            return None
        native = f"; native compilers of {self._accelerating} lie on top" if self._accelerating else ""
        return dataclasses.replace(self.choice, reason=self.choice.reason + native)

    @functools.cached_property
    def _accelerating(self) -> Requirement | None:
        return self.options.platforms.accelerator(self.choice) if self.build.accelerate else None

    def _accelerator(self) -> tuple[Made, ...]:
        """The layer of native compilers, seen by the job alone: what is built on top of this one has its own."""
        asked = self._accelerating
        return (self._unpacked(self.planner.accelerating(asked)),) if asked else ()

    def _limits(self) -> Limits:
        asked = {
            name: getattr(self.build.resources, name)
            for name in ("cores", "memory", "disk", "timeout", "silent_timeout")
        }
        asked["expected"] = self.build.resources.time
        return dataclasses.replace(self.options.limits, **{k: v for k, v in asked.items() if v is not None})

    def _pack(self, below: tuple[Made, ...], made: tuple[Made, ...]) -> str:
        """The node of the package. An empty one needs the package's jobs, too: they have to work."""
        layers = {"empty": made, "delta": made[-1:]}.get(self._rule, (*below, *made))
        pack = Pack(layers, self._rule, compression=self.options.compression, epoch=self._epoch)
        if self._rule == "dir":
            pack = dataclasses.replace(pack, root=posixpath.normpath(posixpath.join("/", self.build.package_dir)))
        if self._rule != "empty":
            pack = dataclasses.replace(pack, includes=self.build.includes, excludes=self.build.excludes)
        return self._add(":package", pack)

    def _add(self, suffix: str, action: Action) -> str:
        return self.planner.nodes.add(Node(self.name + suffix, action, str(self.package.id)))

    def _wrong(self, code: str, message: str, hint: str = "") -> FarmError:
        identity = str(self.package.id)
        return FarmError(Problem(code, f"{identity}: {message}", self._place, hint, package=identity))

    @property
    def _place(self) -> Place:
        """The build.yaml, or where the package is defined when there is none."""
        return Place(f"{self.package.folder}/build.yaml") if self.package.build else self.package.place


def _union(parts: Iterable[tuple[T, ...]]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(item for part in parts for item in part))
