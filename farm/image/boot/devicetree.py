# SPDX-License-Identifier: GPL-3.0-or-later
"""Flattened device trees, read, changed and written (Devicetree Specification 0.4, chapter 5)."""

from __future__ import annotations

import dataclasses
import struct

from farm.spec.problem import error

_MAGIC = 0xD00DFEED
_BEGIN, _END, _PROPERTY, _NOP, _FINISH = 1, 2, 3, 4, 9


@dataclasses.dataclass(slots=True)
class Node:
    """A node: its properties' bytes and its children, by name, in order."""

    properties: dict[str, bytes] = dataclasses.field(default_factory=dict)
    children: dict[str, Node] = dataclasses.field(default_factory=dict)

    def find(self, path: str) -> Node | None:
        """The node at a path below this one."""
        node: Node | None = self
        for name in path.strip("/").split("/"):
            node = node.children.get(name) if node and name else node
        return node

    def remove(self, path: str) -> None:
        """Removes the node at a path, if it is there."""
        parent, _, name = path.strip("/").rpartition("/")
        if node := self.find(parent):
            node.children.pop(name, None)

    def text(self, name: str) -> str:
        """A property as text; empty when there is none."""
        return self.properties.get(name, b"").split(b"\0")[0].decode(errors="replace")


def read_tree(data: bytes) -> tuple[Node, bytes]:
    """The root of a device tree and its block of reserved memory. FarmError ``bad-device-tree``."""
    try:
        magic, total, structure, strings, reserved = struct.unpack_from(">5I", data)
        if magic != _MAGIC or total > len(data):
            raise error("bad-device-tree", "this is no device tree, or it is cut off")
        return _structure(data, structure, strings), data[reserved:structure]
    except (struct.error, ValueError, IndexError) as failure:
        raise error("bad-device-tree", f"the device tree is damaged: {failure}") from failure


def _structure(data: bytes, at: int, strings: int) -> Node:
    top = Node()
    stack = [top]
    while True:
        (token,) = struct.unpack_from(">I", data, at)
        at += 4
        if token == _BEGIN:
            end = data.index(b"\0", at)
            child = Node()
            stack[-1].children[data[at:end].decode()] = child
            stack.append(child)
            at = end + 4 & ~3
        elif token == _END:
            stack.pop()
        elif token == _PROPERTY:
            length, name = struct.unpack_from(">II", data, at)
            end = data.index(b"\0", strings + name)
            stack[-1].properties[data[strings + name : end].decode()] = data[at + 8 : at + 8 + length]
            at = at + 8 + length + 3 & ~3
        elif token == _FINISH:
            return top.children[""]
        elif token != _NOP:
            raise ValueError(f"unknown token {token:#x}")


def write_tree(root: Node, reserved: bytes) -> bytes:
    """The bytes of a device tree, version 17."""
    strings: dict[str, int] = {}
    texts = bytearray()
    out = bytearray()

    def put(name: str, node: Node) -> None:
        out.extend(struct.pack(">I", _BEGIN) + _padded(name.encode() + b"\0"))
        for key, value in node.properties.items():
            if key not in strings:
                strings[key] = len(texts)
                texts.extend(key.encode() + b"\0")
            out.extend(struct.pack(">III", _PROPERTY, len(value), strings[key]) + _padded(value))
        for key, child in node.children.items():
            put(key, child)
        out.extend(struct.pack(">I", _END))

    put("", root)
    out.extend(struct.pack(">I", _FINISH))
    start = 40 + len(reserved)
    total = start + len(out) + len(texts)
    header = (_MAGIC, total, start, start + len(out), 40, 17, 16, 0, len(texts), len(out))
    return struct.pack(">10I", *header) + reserved + bytes(out) + bytes(texts)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
