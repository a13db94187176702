"""Order of a graph's nodes, its cycles, and what lies on a path."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Nodes = NDArray[np.integer]


def acyclic_order(source: Nodes, target: Nodes, nodes: int) -> NDArray[np.int32]:
    """Longest distance of every node from a node that no arc enters, in arcs ``[nodes]``; -1 on and behind a cycle.

    Kahn's algorithm (1962). Linear in nodes and arcs; plain lists, because a long and thin lattice has levels of one
    node, where a call of NumPy for each takes forty times as long.
    """
    offsets, entered = _leaving(source, target, nodes)
    waiting = np.bincount(target, minlength=nodes).tolist()
    level = [-1] * nodes
    frontier = [node for node, arcs in enumerate(waiting) if not arcs]
    depth = 0
    while frontier:
        following = []
        for node in frontier:
            level[node] = depth
            for reached in entered[offsets[node] : offsets[node + 1]]:
                waiting[reached] -= 1
                if not waiting[reached]:
                    following.append(reached)
        frontier = following
        depth += 1
    return np.array(level, dtype=np.int32)


def connected(source: Nodes, target: Nodes, start: int, last: int) -> NDArray[np.bool_]:
    """Which arcs lie on a path from ``start`` to ``last`` ``[arcs]``."""
    nodes = int(max(source.max(initial=0), target.max(initial=0), start, last)) + 1
    return _reached(source, target, start, nodes)[source] & _reached(target, source, last, nodes)[target]


def _reached(source: Nodes, target: Nodes, start: int, nodes: int) -> NDArray[np.bool_]:
    offsets, entered = _leaving(source, target, nodes)
    reached = [False] * nodes
    reached[start] = True
    waiting = [start]
    while waiting:
        node = waiting.pop()
        for following in entered[offsets[node] : offsets[node + 1]]:
            if not reached[following]:
                reached[following] = True
                waiting.append(following)
    return np.array(reached, dtype=bool)


def merge_silent_cycles(source: Nodes, target: Nodes, silent: NDArray[np.bool_], nodes: int) -> NDArray[np.int64]:
    """A number for every node, the same for all nodes of a cycle ``[nodes]``.

    Args:
        source, target: of every arc ``[arcs]``.
        silent: arcs that neither say nor score anything; only they may lie on a cycle ``[arcs]``.
        nodes: number of nodes.

    Raises:
        ValueError: a cycle with an arc that is not silent; its arguments are the nodes of the arc.
    """
    number = np.arange(nodes, dtype=np.int64)
    looped = acyclic_order(source, target, nodes) < 0
    if not looped.any():
        return number
    inside = np.flatnonzero(looped[source] & looped[target])
    component = _components(source[inside], target[inside], nodes)
    cyclic = inside[component[source[inside]] == component[target[inside]]]
    if not silent[cyclic].all():
        arc = cyclic[~silent[cyclic]][0]
        raise ValueError(int(source[arc]), int(target[arc]))
    return component


def _components(source: Nodes, target: Nodes, nodes: int) -> NDArray[np.int64]:
    """Strongly connected component of every node, named by one of its nodes (Tarjan 1972, without recursion)."""
    offsets, entered = _leaving(source, target, nodes)
    index = [-1] * nodes
    low = [0] * nodes
    component = np.arange(nodes, dtype=np.int64)
    stack: list[int] = []
    on_stack = [False] * nodes
    count = 0
    for root in np.unique(source).tolist():
        if index[root] >= 0:
            continue
        work = [(root, offsets[root])]
        while work:
            node, position = work.pop()
            if index[node] < 0:
                index[node] = low[node] = count
                count += 1
                stack.append(node)
                on_stack[node] = True
            while position < offsets[node + 1]:
                following = entered[position]
                if index[following] < 0:
                    work += [(node, position), (following, offsets[following])]
                    break
                if on_stack[following]:
                    low[node] = min(low[node], low[following])
                position += 1
            else:
                if low[node] == index[node]:
                    _close(node, stack, on_stack, component)
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
    return component


def _close(node: int, stack: list[int], on_stack: list[bool], component: NDArray[np.int64]) -> None:
    """Take the component of ``node`` off the stack."""
    while True:
        member = stack.pop()
        on_stack[member] = False
        component[member] = node
        if member == node:
            return


def _leaving(source: Nodes, target: Nodes, nodes: int) -> tuple[list[int], list[int]]:
    """The nodes that arcs lead to from node ``n`` are ``entered[offsets[n]:offsets[n + 1]]``."""
    order = np.argsort(source, kind="stable")
    offsets = np.searchsorted(source[order], np.arange(nodes + 1))
    return offsets.tolist(), target[order].tolist()
