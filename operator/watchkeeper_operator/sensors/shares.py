"""Which node is to hold which policies, and up to which judgement each node has confirmed what it is to hold.

A node is told those policies that can match what runs there (collector/policy_share.py), and confirms them by one revision. A policy is in force there
when the revision that the node confirmed was still what it was to hold at the judgement that brought the policy, or at a later one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watchkeeper_operator.collector.node_feed import revision_of
from watchkeeper_operator.collector.policy_share import PolicyShares

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from watchkeeper_operator.collector.cluster_view import Runs
    from watchkeeper_operator.policy_objects import Key
    from watchkeeper_operator.policy_verdicts import Judged
    from watchkeeper_operator.sensors.nodes import Node

REVISIONS_KEPT = 16  # of each node


@dataclass(slots=True)
class Shares:
    """By uid of a node. `wanted`: what it is to hold; `seen`: revisions that it was to hold, with the latest judgement of each."""

    wanted: dict[str, frozenset[Key]] = field(default_factory=dict)
    seen: dict[str, dict[str, int]] = field(default_factory=dict)
    since: dict[Key, tuple[tuple[str, int], int]] = field(default_factory=dict)  # revision of an object in force, and the judgement that brought it
    _shares: PolicyShares = field(default_factory=lambda: PolicyShares(()))
    _sets: dict[str, frozenset[Key]] = field(default_factory=dict)  # most nodes are to hold the same

    def judged(self, judged: Judged) -> None:
        """What is in force from now on; `share` follows for each node."""
        self._shares = PolicyShares(judged.in_force)
        self.since = {
            one.key: known if (known := self.since.get(one.key)) is not None and known[0] == one.revision else (one.revision, judged.number)
            for one in judged.in_force
        }

    def share(self, node: Node, pods: Sequence[Runs], number: int) -> None:
        """`number`: of the judgement that `judged` took last."""
        share = self._shares.of(pods, node.metadata.labels)
        uid = node.metadata.uid
        revision = revision_of(share)
        if revision not in self._sets:
            self._sets = {name: keys for name, keys in self._sets.items() if keys in self.wanted.values()}
            self._sets[revision] = frozenset(one.key for group in share for one in group)
        self.wanted[uid] = self._sets[revision]
        revisions = self.seen.setdefault(uid, {})
        revisions.pop(revision, None)
        revisions[revision] = number
        while len(revisions) > REVISIONS_KEPT:
            del revisions[next(iter(revisions))]

    def forget_all_but(self, uids: Iterable[str]) -> None:
        there = set(uids)
        self.wanted = {uid: keys for uid, keys in self.wanted.items() if uid in there}
        self.seen = {uid: revisions for uid, revisions in self.seen.items() if uid in there}

    def confirmed(self, uid: str, revision: str) -> int:
        """The latest judgement of which the node holds all that it is to hold, by the revision that it confirmed; -1: of none that is known."""
        return self.seen.get(uid, {}).get(revision, -1)

    def is_current(self, uid: str, confirmed: str) -> bool:
        """Whether the node confirmed all that it is to hold now."""
        revisions = self.seen.get(uid, {})
        return bool(revisions) and next(reversed(revisions)) == confirmed
