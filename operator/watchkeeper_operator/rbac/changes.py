"""Changes of objects in, records of events out: what was present, and what a batch of changes added, changed and took away."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from watchkeeper_detection.logs.rbac import PLURALS
from watchkeeper_detection.subject import service_account
from watchkeeper_operator.rbac.risks import joined
from watchkeeper_operator.rbac.shapes import Binding
from watchkeeper_operator.rbac.state import holders_of, role_key
from watchkeeper_operator.rbac.telling import Teller, role_risks
from watchkeeper_operator.rbac.trimming import told_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from watchkeeper_operator.rbac.becoming import Powers
    from watchkeeper_operator.rbac.shapes import Key, Rule, Watched
    from watchkeeper_operator.rbac.state import Grant, State
    from watchkeeper_operator.rbac.telling import Cause, Record

ALL_KINDS = frozenset(PLURALS)
Batch: TypeAlias = "Mapping[Key, Watched | None]"
"""What each object became; None: it is gone."""


class Was(NamedTuple):
    """A binding before a batch, its grants, and which of its subjects there were."""

    binding: Binding
    grants: dict[tuple[str, Rule], Grant]
    existing: dict[str, bool | None]


@dataclass(frozen=True, slots=True)
class Before:
    """What a batch touches, as it was."""

    objects: dict[Key, Watched | None]
    bindings: dict[Key, Was | None]
    role_risks: dict[Key, frozenset[str]]


def present(state: State, powers: Powers, observed_at: int, kinds: Container[str] = ALL_KINDS) -> Iterator[Record]:
    """Everything of these kinds that is there."""
    teller = Teller(state, powers, observed_at)
    for key, one in list(state.objects.items()):
        if key[0] not in kinds:
            continue
        yield teller.changed_object(key, one, "present")
        if isinstance(one, Binding):
            for grant in state.grants_of(key)[0]:
                yield teller.grant(key, one, grant, "present", cause=None, held_before=frozenset())


def apply(state: State, powers: Powers, batch: Batch, observed_at: int) -> list[Record]:
    """Take changes into the state; what they mean. Objects that only look newer mean nothing."""
    touched = _touched(state, batch)
    before = Before(
        {key: state.objects.get(key) for key in batch},
        {key: _was(state, key) for key in touched},
        {key: role_risks(state, key) for key in batch if key[0] in ("Role", "ClusterRole")},
    )
    for key, one in batch.items():
        if one is None:
            state.remove(key)
        else:
            state.put(key, one)
    teller = Teller(state, powers, observed_at)
    return [*_objects(state, teller, before), *_grants(state, teller, before)]


def _touched(state: State, batch: Batch) -> list[Key]:
    """Bindings whose grants the batch may change, in a stable order."""
    touched: set[Key] = set()
    for key, one in batch.items():
        if key[0] in ("RoleBinding", "ClusterRoleBinding"):
            touched.add(key)
        elif key[0] in ("Role", "ClusterRole"):
            touched |= state.bindings_of_role(key)
            if key[0] == "ClusterRole":
                for name in state.aggregating:
                    touched |= state.bindings_of_role(("ClusterRole", "", name))
        elif key[0] == "ServiceAccount" and (one is None or key not in state.objects):
            touched |= state.bindings_of_holder(service_account(key[1], key[2]))
    return sorted(touched)


def _was(state: State, key: Key) -> Was | None:
    binding = state.objects.get(key)
    if not isinstance(binding, Binding):
        return None
    grants = {grant.identity: grant for grant in state.grants_of(key)[0]}
    return Was(binding, grants, {holder.id: state.exists(holder) for holder in holders_of(binding)})


def _objects(state: State, teller: Teller, before: Before) -> Iterator[Record]:
    for key, was in before.objects.items():
        one, risks = state.objects.get(key), before.role_risks.get(key, frozenset())
        if one is None:
            if was is not None:
                yield teller.changed_object(key, was, "removed", risks_before=risks)
        elif was is None:
            yield teller.changed_object(key, one, "added")
        elif was.metadata.uid != one.metadata.uid or told_of(was) != told_of(one):
            yield teller.changed_object(key, one, "changed", before=was, risks_before=risks)


def _grants(state: State, teller: Teller, before: Before) -> Iterator[Record]:
    held = _HeldBefore(state, before)
    for key, was in before.bindings.items():
        now = _was(state, key)
        old, new = (was.grants if was else {}), (now.grants if now else {})
        gone = {identity: grant for identity, grant in old.items() if identity not in new}
        mended = _pairs(gone, [identity for identity in new if identity not in old])
        if now is not None:
            for identity, grant in new.items():
                if (change := _change_of(identity, was, now, mended)) is not None:
                    cause = _cause(state, before, key, now.binding, grant, whose_existence=identity in old)
                    yield teller.grant(key, now.binding, grant, change, cause=cause, held_before=held.by(grant))
        if was is not None:
            for grant in (grant for identity, grant in gone.items() if identity not in mended.values()):
                cause = _cause(state, before, key, was.binding, grant, whose_existence=False)
                yield teller.grant(key, was.binding, grant, "removed", cause=cause, held_before=held.by(grant))


def _change_of(identity: tuple[str, Rule], was: Was | None, now: Was, mended: Mapping[tuple[str, Rule], object]) -> Literal["added", "changed"] | None:
    """What became of a grant that is there; None: nothing."""
    if was is None or identity not in was.grants:
        return "changed" if identity in mended else "added"
    return "changed" if was.existing[identity[0]] != now.existing[identity[0]] else None


def _pairs(gone: Iterable[tuple[str, Rule]], new: Iterable[tuple[str, Rule]]) -> dict[tuple[str, Rule], tuple[str, Rule]]:
    """New grant → the one it was before: of the same subject, and about the same resources or with the same verbs."""
    waiting: defaultdict[str, list[tuple[str, Rule]]] = defaultdict(list)
    for identity in gone:
        waiting[identity[0]].append(identity)
    pairs = {}
    for identity in new:
        rule = identity[1]
        for old in waiting[identity[0]]:
            if old[1].resources == rule.resources or (old[1].verbs == rule.verbs and old[1].api_groups == rule.api_groups):
                pairs[identity] = old
                waiting[identity[0]].remove(old)
                break
    return pairs


def _cause(state: State, before: Before, key: Key, binding: Binding, grant: Grant, *, whose_existence: bool) -> tuple[Cause, Key, Watched]:
    """Whose change made, changed or took a grant; `whose_existence`: only its account came or went."""
    holder, effective = grant.holder, grant.effective
    if whose_existence:
        account = ("ServiceAccount", holder.namespace, holder.name)
        return "service_account", account, state.objects.get(account) or before.objects.get(account) or binding
    if key in before.objects:
        return "binding", key, binding
    source = ("ClusterRole", "", effective.source)
    for changed in (source, role_key(binding)):
        one = state.objects.get(changed) or before.objects.get(changed)
        if changed in before.objects and one is not None:
            return ("aggregation" if effective.aggregated and changed == source else "role"), changed, one
    return "aggregation", key, binding  # it came from a role that is gone, or lost its label


class _HeldBefore:
    """What subjects had before a batch: through bindings that it left alone, and through the others as they were."""

    def __init__(self, state: State, before: Before) -> None:
        self._state = state
        self._before = before
        self._held: dict[tuple[str, str | None], frozenset[str]] = {}
        self._by_holder: defaultdict[str, list[Grant]] = defaultdict(list)
        for was in before.bindings.values():
            for grant in was.grants.values() if was else ():
                self._by_holder[grant.holder.id].append(grant)

    def by(self, grant: Grant) -> frozenset[str]:
        asked = grant.holder.id, grant.namespace
        if asked not in self._held:
            untouched = self._state.bindings_of_holder(asked[0]) - self._before.bindings.keys()
            held = self._state.held_through(untouched, asked[1])
            held |= frozenset[str]().union(*(one.risks for one in self._by_holder[asked[0]] if one.namespace in (None, asked[1])))
            self._held[asked] = held | joined(held)
        return self._held[asked]
