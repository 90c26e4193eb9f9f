# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes of a plan, what they become when their needs are made, and their keys."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from farm.plan.environment import evaluate
from farm.plan.job import (
    Action,
    ArchiveInput,
    Assemble,
    CopyInput,
    Digest,
    Fetch,
    FileInput,
    Input,
    Job,
    Made,
    Pack,
    Ref,
    Seed,
    Unpack,
    Work,
)
from farm.plan.platform import Choice
from farm.spec.problem import Problem

KEY_VERSION = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What a node made. ``env`` is a seed's own environment; ``size`` in bytes; times in seconds."""

    layer: Digest | None = None
    package: Digest | None = None
    blob: Digest | None = None
    env: tuple[tuple[str, str], ...] = ()
    size: int = 0
    deleted: tuple[str, ...] = ()
    wall: float = 0.0
    cpu: float = 0.0
    memory_peak: int = 0

    def digest(self, what: str) -> Digest:
        """The digest of the layer, package or blob. KeyError when the node makes no such thing."""
        made: Digest | None = getattr(self, what)
        if made is None:
            raise KeyError(what)
        return made

    def to_json(self) -> dict[str, Any]:
        """Plain data; what is unset is left out."""
        return {f.name: value for f in dataclasses.fields(self) if (value := getattr(self, f.name)) != f.default}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Result:
        """The reverse of `to_json`."""
        fields = dict(data)
        fields["env"] = tuple((k, v) for k, v in fields.get("env", ()))
        fields["deleted"] = tuple(fields.get("deleted", ()))
        return cls(**fields)


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """One thing to make.

    ``id`` is unique in its plan, stable and readable. ``env`` holds Dockerfile-style ``ENV`` arguments, the
    lowest layer's first, evaluated on top of the environment of the seeds named in ``env_from``.
    They, and ``preset`` below them, make a job's environment. ``package`` is the ``category/name-version``
    that it is made for. ``choice`` tells why a job runs as it does where that is not the usual way.
    """

    id: str
    action: Action
    package: str | None = None
    env: tuple[str, ...] = ()
    env_from: tuple[str, ...] = ()
    preset: tuple[tuple[str, str], ...] = ()
    choice: Choice | None = dataclasses.field(default=None, repr=False, compare=False)

    @property
    def needs(self) -> tuple[str, ...]:
        """Ids of the nodes that have to be made before, each once, in order of appearance."""
        return tuple(dict.fromkeys([*(ref.node for ref in _refs(self.action)), *self.env_from]))

    def resolve(self, results: Mapping[str, Result]) -> Action:
        """The action with all digests and the whole environment put in. KeyError when a need is not made."""
        action = _with_digests(self.action, results)
        if isinstance(action, Job):
            base = dict(self.preset)
            for seed in self.env_from:
                base.update(results[seed].env)
            return dataclasses.replace(action, env=tuple(sorted(evaluate(self.env, base).items())))
        return action


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """Nodes by id, in an order in which every node comes after its needs.

    ``targets`` are the ids of the nodes that were asked for. ``unplanned`` are packages that were asked for and
    cannot be planned, and ``problems`` say why; the rest of the plan does not need them.
    """

    nodes: dict[str, Node]
    targets: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    unplanned: tuple[str, ...] = ()


def key_document(action: Action) -> dict[str, Any]:
    """All that a resolved action reads, as plain data. Optional attributes appear only when they are set."""
    document: dict[str, Any] = {"kind": type(action).__name__.lower(), "version": KEY_VERSION}
    for field in dataclasses.fields(action):
        value = getattr(action, field.name)
        if field.compare and value != field.default:
            document[field.name] = _plain(value)
    if isinstance(action, Job | Seed):
        document["platform"] = action.platform
    if isinstance(action, Seed) and action.sha256:
        document.pop("url", None)
    return document


def key_of(document: Mapping[str, Any]) -> Digest:
    """The sha256 of the document's canonical JSON."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kept = [f for f in dataclasses.fields(value) if f.compare and getattr(value, f.name) != f.default]
        return {"is": type(value).__name__, **{f.name: _plain(getattr(value, f.name)) for f in kept}}
    if isinstance(value, tuple):
        return [v if type(v) is str else _plain(v) for v in value]
    return value


def _refs(action: Action) -> Iterator[Made]:
    match action:
        case Job():
            yield from _made(action.layers)
            yield from _input_refs(action.inputs)
        case Pack():
            yield from _made(action.layers)
        case Assemble():
            yield from _made(action.layers)
            yield from _input_refs(action.inputs)
        case Unpack():
            yield from _made((action.package,))
        case Work():
            yield from _made(action.layers)
            yield from _made(action.blobs)
        case Fetch() | Seed():
            return


def _input_refs(inputs: tuple[Input, ...]) -> Iterator[Made]:
    for item in inputs:
        yield from _made(item.layers if isinstance(item, CopyInput) else (item.digest,))


def _made(refs: tuple[Ref | None, ...]) -> Iterator[Made]:
    return (ref for ref in refs if isinstance(ref, Made))


def _with_digests(action: Action, results: Mapping[str, Result]) -> Action:
    def put(ref: Ref) -> Digest:
        return results[ref.node].digest(ref.what) if isinstance(ref, Made) else ref

    def put_input(item: Input) -> Input:
        match item:
            case FileInput():
                return dataclasses.replace(item, digest=put(item.digest)) if isinstance(item.digest, Made) else item
            case ArchiveInput():
                return dataclasses.replace(item, digest=put(item.digest))
            case CopyInput():
                return dataclasses.replace(item, layers=tuple(put(ref) for ref in item.layers))

    match action:
        case Job() | Assemble():
            inputs = tuple(put_input(item) for item in action.inputs)
            return dataclasses.replace(action, layers=tuple(put(ref) for ref in action.layers), inputs=inputs)
        case Unpack():
            return Unpack(put(action.package))
        case Pack():
            return dataclasses.replace(action, layers=tuple(put(ref) for ref in action.layers))
        case Work():
            blobs = tuple(put(ref) for ref in action.blobs)
            return dataclasses.replace(action, layers=tuple(put(ref) for ref in action.layers), blobs=blobs)
        case Fetch() | Seed():
            return action
