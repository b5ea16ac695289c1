"""Where the windows of a rule live: on the node when every key is bound to it, otherwise where matches of all nodes come together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_detection.cel import tree
from watchkeeper_detection.vocabulary import kernel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from watchkeeper_detection.program import Program, Rule

NODE_ROOTS = frozenset({"process", "container", "node"})  # a key of these is one node's
NODE_IDS = frozenset({"process.id", "process.parent.id", "container.id", "pod.uid", "node.name", "node.boot_id"})
"""Fields of which no two nodes have the same value."""


def are_of_node(keys: Iterable[tree.Node]) -> bool:
    """Whether things with the same keys are of one node: one key that no two nodes share is enough. No keys at all are the whole cluster's.

    Other fields of a pod (its namespace, labels, account, owner) are shared by pods of many nodes.
    """
    keys = tuple(keys)
    if any(isinstance(key, tree.Field) and key.path in NODE_IDS and not key.step for key in keys):
        return True
    roots = {node.path.partition(".")[0] for key in keys for node in tree.walk(key) if isinstance(node, tree.Field)}
    return bool(roots) and roots <= NODE_ROOTS


def spans_nodes(rule: Rule) -> bool:
    """Whether what matches on one node has to meet what matches elsewhere.

    Not for being quiet alone: a rule that only suppresses repeats speaks on each node at once, with who acted, and is quiet there.
    """
    if not (rule.threshold or rule.first_seen or rule.sequence):
        return False
    return not all(are_of_node(keys) for keys in _keys(rule))


def is_of_kernel(rule: Rule) -> bool:
    """Whether nodes alone can judge the rule: all its events are a kernel's."""
    told = {kind.name for kind in kernel.KINDS}
    return told.issuperset(rule.kinds if rule.sequence is None else (kind for step in rule.sequence.steps for kind in step.kinds))


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
