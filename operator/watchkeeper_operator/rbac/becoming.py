"""Who can act as whom: the workloads that run as an account, and who may impersonate, mint its tokens, run its pods or get into them, over any number of steps."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from watchkeeper_detection.logs.rbac import group_id
from watchkeeper_detection.subject import service_account
from watchkeeper_operator.rbac.built_in import CONTROL_PLANE
from watchkeeper_operator.rbac.risks import CLUSTER_ADMIN, NAMESPACE_ADMIN, allows, risks_of
from watchkeeper_operator.rbac.state import ACCOUNT, GROUP, holders_of, role_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_operator.rbac.shapes import Key, Rule, Texts
    from watchkeeper_operator.rbac.state import State

NAMED_AT_MOST = 50
Bucket: TypeAlias = tuple[str, str | None]
"""A power, and the namespace that it is for (None: everywhere)."""
EVERYBODY = frozenset({group_id("system:authenticated"), group_id("system:unauthenticated")})
ALL_ACCOUNTS = group_id("system:serviceaccounts")

ANYBODY, ACCOUNTS, RUNNING, CLAIM, USERS, GROUPS = "anybody", "accounts", "running", "claim", "users", "groups"
"""Powers: to be anybody; any account; an account that pods run as; an account that does not exist yet; a user; a group."""


class Becoming(NamedTuple):
    """Who can act as a subject, nearest first, and how many in all."""

    named: tuple[str, ...]
    total: int


class Step(NamedTuple):
    """One identity on the way: powers by which others become it as one of many, who becomes it by name, and how it is shown."""

    buckets: tuple[Bucket, ...]
    named: dict[str, None]
    shown: tuple[str, ...]


class Powers:
    """Of one state; it answers anew when the state has changed."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._made_of = (-1, -1)
        self._any: defaultdict[Bucket, set[str]] = defaultdict(set)  # who can be any of them
        self._named: defaultdict[tuple[Bucket, str], set[str]] = defaultdict(set)  # who can be the one of this name
        self._answers: dict[str, Becoming] = {}
        self._steps: dict[str, Step] = {}

    def who_can_be(self, subject_id: str) -> Becoming:
        self._refresh()
        if subject_id not in self._answers:
            found = list(
                dict.fromkeys(
                    one for identity in self._reached_from(subject_id) for one in self._step(identity).shown if identity != subject_id or one != identity
                )
            )
            self._answers[subject_id] = Becoming(tuple(found[:NAMED_AT_MOST]), len(found))
        return self._answers[subject_id]

    def _refresh(self) -> None:
        rights, pods = self._state.rights_generation, self._state.pods_generation
        if (rights, pods) != self._made_of:
            self._answers.clear()
            self._steps.clear()
        if rights != self._made_of[0]:
            self._any.clear()
            self._named.clear()
            for key, binding in self._state.bindings():
                if holders_of(binding) and self._state.rules_of(role_key(binding)):
                    self._weigh(key)
        self._made_of = rights, pods

    def _weigh(self, key: Key) -> None:
        for grant in self._state.grants_of(key)[0]:
            if not grant.risks:
                break  # those with risks come first
            for power, names in powers_of(grant.effective.rule, grant.namespace, self._state.held_by(grant.holder.id, grant.namespace)):
                bucket = power, grant.namespace
                if names is None:
                    self._any[bucket].add(grant.holder.id)
                for name in names or ():
                    self._named[bucket, name].add(grant.holder.id)

    def _reached_from(self, subject_id: str) -> dict[str, None]:
        """Identities that can become the subject, breadth first, with the subject itself. Who can be any of many is looked at once."""
        reached, opened = {subject_id: None}, set[Bucket]()
        waiting = [subject_id]
        while waiting:
            following: dict[str, None] = {}
            for identity in waiting:
                step = self._step(identity)
                for bucket in step.buckets:
                    if bucket not in opened:
                        opened.add(bucket)
                        following.update(dict.fromkeys(sorted(self._any.get(bucket, ()))))
                following.update(step.named)
            waiting = [one for one in following if one not in reached]
            reached.update(dict.fromkeys(waiting))
        return reached

    def _step(self, identity: str) -> Step:
        if identity not in self._steps:
            buckets, name = self._buckets_of(identity)
            named = dict.fromkeys(one for bucket in buckets for one in sorted(self._named.get((bucket, name), ())))
            if identity.startswith(GROUP):
                named.update(dict.fromkeys(self._members(identity)))
            self._steps[identity] = Step(tuple(bucket for bucket in buckets if bucket in self._any), named, self._shown(identity))
        return self._steps[identity]

    def _buckets_of(self, identity: str) -> tuple[list[Bucket], str]:
        """Powers that reach an identity, and its name in them."""
        if identity.startswith(ACCOUNT):
            namespace, _, name = identity.removeprefix(ACCOUNT).partition(":")
            kinds = [ANYBODY, ACCOUNTS]
            if identity in self._state.workloads:
                kinds.append(RUNNING)
            if ("ServiceAccount", namespace, name) not in self._state.objects:
                kinds.append(CLAIM)
            return [(kind, scope) for kind in kinds for scope in (None, namespace)], name
        if identity.startswith(GROUP):
            return [(ANYBODY, None), (GROUPS, None)], identity.removeprefix(GROUP)
        return [(ANYBODY, None), (USERS, None)], identity

    def _members(self, group: str) -> Iterator[str]:
        """Service accounts that are in a group because of their namespace; who else is in one only the authenticator knows."""
        if group == ALL_ACCOUNTS or group.startswith(f"{ALL_ACCOUNTS}:"):
            wanted = group.removeprefix(ALL_ACCOUNTS).removeprefix(":")
            for kind, namespace, name in self._state.objects:
                if kind == "ServiceAccount" and wanted in ("", namespace):
                    yield service_account(namespace, name)

    def _shown(self, identity: str) -> tuple[str, ...]:
        """Workloads that run as an account, or itself; nothing of what Kubernetes itself runs."""
        workloads = sorted(self._state.workloads.get(identity, ()))
        return tuple(workloads) or (() if identity in CONTROL_PLANE else (identity,))


def powers_of(rule: Rule, namespace: str | None, held: frozenset[str]) -> Iterator[tuple[str, frozenset[str] | None]]:
    """Whom a rule lets its holder be; `held`: all that the holder's rights amount to there."""
    risks = risks_of(rule, namespace)
    if risks & {CLUSTER_ADMIN, NAMESPACE_ADMIN, "escalate", "bind"}:
        yield ANYBODY, None
        return
    names = _names(rule.resource_names)
    if allows(rule, "", "serviceaccounts", ("impersonate",)) or allows(rule, "", "serviceaccounts/token", ("create",)):
        yield ACCOUNTS, names
    if "create_pods" in risks or ("create_secrets" in risks and "make_token_secrets" in held):
        yield ACCOUNTS, None
    if risks & {"run_in_pods", "change_pods", "node_proxy"}:
        yield RUNNING, None
    if "create_service_accounts" in risks:
        yield CLAIM, None
    if namespace is None:
        yield from _of_the_cluster(rule, risks, held, names)


def _of_the_cluster(rule: Rule, risks: frozenset[str], held: frozenset[str], names: frozenset[str] | None) -> Iterator[tuple[str, frozenset[str] | None]]:
    if allows(rule, "", "users", ("impersonate",)):
        yield USERS, names
    if allows(rule, "", "groups", ("impersonate",)):
        yield GROUPS, names
    if "approve_certificates" in risks and "issue_certificates" in held:
        yield from ((USERS, None), (ACCOUNTS, None), (GROUPS, None))


def _names(names: Texts | None) -> frozenset[str] | None:
    return frozenset(names) if names else None
