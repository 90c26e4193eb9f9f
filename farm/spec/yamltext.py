# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML to plain data, with the position of everything, and without surprises.

Nodes are composed by libyaml and made into data here, because PyYAML's own constructor is slow, loses positions,
takes duplicate keys, and reads ``version: 1.10`` as 1.1. A *shape* says where text is wanted: there a scalar is
its source text. Elsewhere scalars are typed as anise types them (farm/spec/scalars.py). Keys are always text.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.cyaml import CParser  # type: ignore[attr-defined]

from farm.spec.problem import Place, Problem
from farm.spec.scalars import scalar

MAX_DEPTH = 100
MAX_VALUES = 500_000
MAX_BYTES = 16 * 1024 * 1024

TEXT = "text"
"""Shape of a scalar that is taken as its source text. Other shapes: a one-element list (every element), or a
dictionary (shape of each key, ``*`` for all others)."""
VERSION = "version"
"""As `TEXT`, and remembered in ``Parsed.unquoted`` when plain YAML would have made it a number or boolean."""
CORE = "core"
"""Shape of values, however deep, in which only ``true`` and ``false`` are booleans, and ``n`` or ``yes`` are text, as
Go's yaml.v3 reads what has no type of its own."""

Shape = str | list[Any] | dict[str, Any] | None
Where = Callable[[int, int], Place]
Path = Sequence[str | int]


@dataclasses.dataclass(slots=True)
class Parsed:
    """A document: its data, what is wrong with it, and its nodes to find positions in.

    ``unquoted`` has (text, line, column) of every `VERSION` that YAML does not take for text. Lines are those of
    the text parsed; ``where`` gives the place that the user knows.
    """

    data: Any
    problems: list[Problem]
    where: Where
    root: yaml.Node | None = None
    unquoted: list[tuple[str, int, int]] = dataclasses.field(default_factory=list)

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Where ``path`` is: its value, or its key. Of what is not there, the closest thing around it."""
        found, node = self._find(path)
        mark = getattr(found if key else node, "start_mark", None)
        return self.where(mark.line + 1, mark.column + 1) if mark else self.where(1, 1)

    def lines(self, path: Path) -> tuple[int, int]:
        """First and last line of the text parsed that ``path`` takes up."""
        node = self._find(path)[1]
        return (node.start_mark.line + 1, node.end_mark.line + 1) if node else (1, 1)

    def node(self, path: Path) -> yaml.Node | None:
        """The value's node at ``path``; None when there is none."""
        node = self.root
        for step in path:
            pair = _child(node, step)
            if pair is None:
                return None
            node = pair[1]
        return node

    def _find(self, path: Path) -> tuple[yaml.Node | None, yaml.Node | None]:
        found = node = self.root
        for step in path:
            pair = _child(node, step)
            if pair is None:
                break
            found, node = pair
        return found, node


def parse(text: str, where: str | Where, shape: Shape = None) -> Parsed:
    """Parses the first document of ``text``. Never raises: what is wrong is in ``problems``.

    ``where`` is the file's name, or gives the place of a line and column (both from 1).
    """
    locate: Where = (lambda line, column: Place(where, line, column)) if isinstance(where, str) else where
    parsed = Parsed(None, [], locate)
    try:
        if _suspicious(text):
            _refuse_depth(text)
        parsed.root = _compose(text, parsed)
    except yaml.YAMLError as e:
        parsed.problems.append(_syntax_problem(text, e, locate))
        return parsed
    except _Refused as e:
        parsed.problems.append(e.problem(locate))
        return parsed
    if parsed.root is not None:
        try:
            parsed.data = _Maker(parsed).make(parsed.root, shape)
        except _Refused as e:
            parsed.problems.append(e.problem(locate))
    return parsed


def decode(content: bytes, file: str) -> tuple[str, list[Problem]]:
    """The text of a file's bytes; for what is not UTF-8 (or UTF-16 with a mark), an empty text and a problem."""
    if len(content) > MAX_BYTES:
        return "", [Problem("file-too-large", f"larger than {MAX_BYTES >> 20} MiB", Place(file))]
    codec = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(codec), []
    except UnicodeDecodeError as e:
        line = content.count(b"\n", 0, e.start) + 1
        column = e.start - content.rfind(b"\n", 0, e.start)
        return "", [Problem("bad-encoding", "not UTF-8 text", Place(file, line, column), "save the file in UTF-8")]


class _Refused(Exception):
    """The document is well-formed, but of a form that no spec needs."""

    def __init__(self, code: str, message: str, mark: Any, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.mark, self.hint = code, message, mark, hint

    def problem(self, where: Where) -> Problem:
        return Problem(self.code, self.message, where(self.mark.line + 1, self.mark.column + 1), self.hint)


class _Nodes(CParser):
    """libyaml's composer; a node's tag is True for a plain scalar, False for a quoted one, text when written."""

    def resolve(self, kind: Any, _value: Any, implicit: Any) -> Any:
        return implicit[0] if kind is yaml.ScalarNode else None

    def descend_resolver(self, *_: Any) -> None:
        """Nothing to do: no tag depends on a path."""

    def ascend_resolver(self) -> None:
        """Nothing to do: no tag depends on a path."""


class _Reanchoring(Composer, _Nodes):
    """The same, slower, for texts that define an anchor twice, which YAML allows and libyaml's composer does not."""

    def __init__(self, text: str) -> None:
        _Nodes.__init__(self, text)
        Composer.__init__(self)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if not self.check_event(yaml.AliasEvent):
            self.anchors.pop(getattr(self.peek_event(), "anchor", None), None)
        return super().compose_node(parent, index)


def _compose(text: str, parsed: Parsed) -> yaml.Node | None:
    try:
        return _first_document(_Nodes(text), parsed)
    except yaml.composer.ComposerError as e:
        if "duplicate anchor" not in str(e):
            raise
        return _first_document(_Reanchoring(text), parsed)


def _first_document(loader: Any, parsed: Parsed) -> yaml.Node | None:
    if not loader.check_node():
        return None
    root: yaml.Node = loader.get_node()
    if loader.check_node():
        mark = loader.peek_event().start_mark
        place = parsed.where(mark.line + 1, mark.column + 1)
        message, hint = "only the first document of a file is read", "remove the line ---"
        parsed.problems.append(Problem("several-documents", message, place, hint, "warning"))
    return root


_DEEP = re.compile(r"^[ ?:\t-]{80}", re.MULTILINE)


def _suspicious(text: str) -> bool:
    """Whether nesting could be deeper than `MAX_DEPTH`: each level costs a bracket or a column of indentation."""
    return text.count("[") + text.count("{") > MAX_DEPTH // 2 or _DEEP.search(text) is not None


def _refuse_depth(text: str) -> None:
    """Counts by events, which libyaml does on its heap; its composer recurses and would overflow the stack."""
    depth = 0
    parser = _Nodes(text)
    while (event := parser.get_event()) is not None:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _Refused("yaml-too-deep", f"nested deeper than {MAX_DEPTH} levels", event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Maker:
    """Makes data of nodes. Aliases are expanded, so that nothing is shared, up to `MAX_VALUES` values."""

    def __init__(self, parsed: Parsed) -> None:
        self.parsed = parsed
        self.values = 0
        self.trail: list[yaml.Node] = []

    def make(self, node: yaml.Node, shape: Shape) -> Any:
        if type(node) is yaml.ScalarNode:
            return self._scalar(node, shape)
        self._enter(node)
        data: Any
        if type(node) is yaml.SequenceNode:
            inner = shape[0] if type(shape) is list else _below(shape)
            data = [self.make(child, inner) for child in node.value]
        else:
            data = self._mapping(node, shape if type(shape) is dict else {"*": _below(shape)})
        self.trail.pop()
        return data

    def _enter(self, node: yaml.Node) -> None:
        if len(self.trail) >= MAX_DEPTH:
            if any(node is other for other in self.trail):
                raise _Refused("yaml-recursion", "an alias refers to what contains it", node.start_mark)
            raise _Refused("yaml-too-deep", f"nested deeper than {MAX_DEPTH} levels", node.start_mark)
        self.values += len(node.value) + 1
        if self.values > MAX_VALUES:
            message = f"aliases expand to more than {MAX_VALUES} values"
            raise _Refused("yaml-too-large", message, node.start_mark, "write the values out, or use fewer aliases")
        self.trail.append(node)

    def _scalar(self, node: yaml.Node, shape: Shape) -> Any:
        text: str = node.value
        tag: Any = node.tag
        if tag is False or tag == "tag:yaml.org,2002:str":
            if "\0" in text:
                raise _Refused("bad-yaml", "a character of number 0", node.start_mark, "remove it: no program takes it")
            return text
        data = scalar(text)
        if shape is CORE and data.__class__ is bool and text.lower() not in ("true", "false"):
            return text
        if data.__class__ is str or data is None or (shape is not TEXT and shape is not VERSION):
            return data
        if shape is VERSION:
            self.parsed.unquoted.append((text, node.start_mark.line + 1, node.start_mark.column + 1))
        return text

    def _mapping(self, node: yaml.Node, shape: dict[str, Any]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        other = shape.get("*")
        for key_node, value_node in node.value:
            key = key_node.value
            if key.__class__ is not str:
                raise _Refused("bad-yaml", "a key must be text", key_node.start_mark)
            if key == "<<" and key_node.tag is True:
                merged += value_node.value if type(value_node) is yaml.SequenceNode else [value_node]
                continue
            if key in data:
                self._duplicate(key, node, key_node)
            data[key] = self.make(value_node, shape.get(key, other))
        for source in merged:
            if type(source) is not yaml.MappingNode:
                raise _Refused("bad-yaml", "<< wants a mapping or a list of mappings", source.start_mark)
            data = {**self.make(source, shape), **data}
        return data

    def _duplicate(self, key: str, node: yaml.Node, second: yaml.Node) -> None:
        first = next(k for k, _ in node.value if k.value == key)
        where = self.parsed.where
        hint = f"it is already in line {where(first.start_mark.line + 1, 1).line}; remove one of them"
        place = where(second.start_mark.line + 1, second.start_mark.column + 1)
        self.parsed.problems.append(Problem("duplicate-key", f"key {key!r} is there twice", place, hint))


def _below(shape: Shape) -> Shape:
    """The shape of what is in a value that a shape stands for as a whole."""
    return CORE if shape is CORE else None


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """The key's node (for an element: itself) and the value's node of one step down, or None."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return (node.value[step],) * 2 if 0 <= step < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        pairs: Iterator[tuple[yaml.Node, yaml.Node]] = ((k, v) for k, v in node.value if k.value == str(step))
        return next(pairs, None) or _merged_child(node, step)
    return None


def _merged_child(node: yaml.MappingNode, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """The same, in what ``<<`` brings."""
    merged = [value for key, value in node.value if key.value == "<<" and key.tag is True]
    sources = [source for value in merged for source in (value.value if value.id == "sequence" else [value])]
    pairs = (_child(source, step) for source in sources if isinstance(source, yaml.MappingNode))
    return next((pair for pair in pairs if pair), None)


_HINTS = (
    ("\\t", "indent with spaces: YAML does not take tabs"),
    ("tab character", "indent with spaces: YAML does not take tabs"),
    ("found character that cannot start any token", "a tab, @, ` or %: indent with spaces, or quote the text"),
    ("undefined alias", "define the anchor (&name) before it is used, or quote text that starts with *"),
    ("mapping values are not allowed", "quote text that has ': ' in it, and check the indentation"),
    ("did not find expected key", "check the indentation, and quote text that starts with a special character"),
    ("did not find expected '-' indicator", "check the indentation of the list"),
    ("control characters", "remove the character"),
    ("could not find expected ':'", "a key needs ': ' after it; check the indentation of the text above"),
)  # fmt: skip


_CODES = (("undefined alias", "yaml-undefined-alias"), ("maximum nesting depth", "yaml-too-deep"))
"""What newer versions of libyaml refuse by themselves has the same code as what the farm refuses."""


def _syntax_problem(text: str, error: yaml.YAMLError, where: Where) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        message = " ".join(p for p in (error.problem or error.context, "") if p)
        place = where(mark.line + 1, mark.column + 1) if mark else where(1, 1)
    else:
        position = getattr(error, "position", 0)
        message = getattr(error, "reason", "") or str(error)
        before = text[:position]
        place = where(before.count("\n") + 1, position - (before.rfind("\n")))
    code = next((c for sign, c in _CODES if sign in message), "bad-yaml")
    hint = next((h for sign, h in _HINTS if sign in message), "")
    return Problem(code, message, place, hint)
