# SPDX-License-Identifier: GPL-3.0-or-later
"""Cycles of a directed graph given as lists of successors by number."""

from __future__ import annotations

from collections.abc import Sequence

Graph = Sequence[Sequence[int]]


def cycles(graph: Graph) -> list[list[int]]:
    """One shortest cycle through the lowest node of each strongly connected component, in order of that node."""
    found = [sorted(component) for component in _components(graph)]
    return [_shortest(graph, component) for component in sorted(found)]


def _components(graph: Graph) -> list[list[int]]:
    """Strongly connected components that have a cycle (Tarjan 1972, without recursion)."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    path: list[int] = []
    on_path: set[int] = set()
    components: list[list[int]] = []
    for root in range(len(graph)):
        if root in order:
            continue
        work = [(root, iter(graph[root]))]
        order[root] = low[root] = len(order)
        path.append(root)
        on_path.add(root)
        while work:
            node, successors = work[-1]
            following = next((s for s in successors if s not in order or s in on_path), None)
            if following is None:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == order[node]:
                    component = _pop_to(node, path, on_path)
                    if len(component) > 1 or node in graph[node]:
                        components.append(component)
            elif following in order:
                low[node] = min(low[node], order[following])
            else:
                order[following] = low[following] = len(order)
                path.append(following)
                on_path.add(following)
                work.append((following, iter(graph[following])))
    return components


def _pop_to(node: int, path: list[int], on_path: set[int]) -> list[int]:
    component = path[path.index(node) :] if path[-1] != node else [node]
    del path[-len(component) :]
    on_path.difference_update(component)
    return component


def _shortest(graph: Graph, component: Sequence[int]) -> list[int]:
    """Breadth first from the component's first node back to it."""
    inside, start = set(component), component[0]
    before: dict[int, int] = {}
    waiting = [start]
    for node in waiting:
        for successor in graph[node]:
            if successor == start:
                return _trace(before, start, node)
            if successor in inside and successor not in before:
                before[successor] = node
                waiting.append(successor)
    return list(component)


def _trace(before: dict[int, int], start: int, end: int) -> list[int]:
    trail = [end]
    while trail[-1] != start:
        trail.append(before[trail[-1]])
    return trail[::-1]
