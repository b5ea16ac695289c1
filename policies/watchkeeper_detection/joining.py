"""Where the windows of a rule live: on the node when every key is bound to it, otherwise where matches of all nodes come together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_detection.cel import tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from watchkeeper_detection.program import Program, Rule

NODE_ROOTS = frozenset({"process", "container", "pod", "node"})  # keys that never leave one node


def are_of_node(keys: Iterable[tree.Node]) -> bool:
    """Whether keys tell things of one node only. No keys at all are the whole cluster's."""
    roots = {node.path.partition(".")[0] for key in keys for node in tree.walk(key) if isinstance(node, tree.Field)}
    return bool(roots) and roots <= NODE_ROOTS


def spans_nodes(rule: Rule) -> bool:
    """Whether what matches on one node has to meet what matches elsewhere."""
    groups = list(_keys(rule))
    return bool(groups) and not all(are_of_node(keys) for keys in groups)


def _keys(rule: Rule) -> Iterator[tuple[tree.Node, ...]]:
    if rule.threshold:
        yield rule.threshold.by
    if rule.first_seen:
        yield rule.first_seen.per
    if rule.sequence:
        for step in rule.sequence.steps:
            yield step.by
    if rule.suppress:
        yield rule.suppress.by


def spanning(program: Program) -> frozenset[str]:
    """State keys of the rules whose windows span nodes."""
    return frozenset(rule.state_key for rule in program.rules if spans_nodes(rule))
