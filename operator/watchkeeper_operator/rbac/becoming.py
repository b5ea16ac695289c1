"""Who can act as whom: the workloads that run as an account, and who may impersonate, mint its tokens, run its pods or get into them, over any number of steps."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from watchkeeper_detection.logs.rbac import group_id
from watchkeeper_detection.subject import service_account
from watchkeeper_operator.rbac.built_in import CONTROL_PLANE
from watchkeeper_operator.rbac.risks import CLUSTER_ADMIN, NAMESPACE_ADMIN, allows, risks_of
from watchkeeper_operator.rbac.state import ACCOUNT, GROUP, holders_of, role_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_operator.rbac.shapes import Rule, Texts
    from watchkeeper_operator.rbac.state import State

NAMED_AT_MOST = 50
EVERYBODY = frozenset({group_id("system:authenticated"), group_id("system:unauthenticated")})
ALL_ACCOUNTS = group_id("system:serviceaccounts")

ANYBODY, ACCOUNTS, RUNNING, CLAIM, USERS, GROUPS = "anybody", "accounts", "running", "claim", "users", "groups"
"""Powers: to be anybody; any account; an account that pods run as; an account that does not exist yet; a user; a group."""


class Power(NamedTuple):
    """Somebody can be others of a kind; `names` None: any of them."""

    holder: str
    names: frozenset[str] | None


class Becoming(NamedTuple):
    """Who can act as a subject, nearest first, and how many in all."""

    named: tuple[str, ...]
    total: int


class Powers:
    """Of one state; it answers anew when the state has changed."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._made_of = (-1, -1)
        self._powers: defaultdict[tuple[str, str | None], set[Power]] = defaultdict(set)
        self._answers: dict[str, Becoming] = {}

    def who_can_be(self, subject_id: str) -> Becoming:
        self._refresh()
        if subject_id not in self._answers:
            found = list(dict.fromkeys(one for identity in self._reached_from(subject_id) for one in self._shown(identity, subject_id)))
            self._answers[subject_id] = Becoming(tuple(found[:NAMED_AT_MOST]), len(found))
        return self._answers[subject_id]

    def _refresh(self) -> None:
        rights, pods = self._state.rights_generation, self._state.pods_generation
        if (rights, pods) != self._made_of:
            self._answers.clear()
        if rights != self._made_of[0]:
            self._powers.clear()
            for key, binding in self._state.bindings():
                if holders_of(binding) and self._state.rules_of(role_key(binding)):
                    self._weigh(key)
        self._made_of = rights, pods

    def _weigh(self, key: tuple[str, str, str]) -> None:
        for grant in self._state.grants_of(key)[0]:
            if not grant.risks:
                break  # those with risks come first
            for power, names in powers_of(grant.effective.rule, grant.namespace, self._state.held_by(grant.holder.id, grant.namespace)):
                self._powers[power, grant.namespace].add(Power(grant.holder.id, names))

    def _reached_from(self, subject_id: str) -> dict[str, None]:
        """Identities that can become the subject, breadth first, with the subject itself."""
        reached = {subject_id: None}
        waiting = [subject_id]
        while waiting:
            following = [one for identity in waiting for one in self._one_step(identity)]
            waiting = [one for one in dict.fromkeys(following) if one not in reached]
            reached.update(dict.fromkeys(waiting))
        return reached

    def _one_step(self, identity: str) -> Iterator[str]:
        if identity.startswith(ACCOUNT):
            namespace, _, name = identity.removeprefix(ACCOUNT).partition(":")
            kinds = [ANYBODY, ACCOUNTS]
            if self._state.workloads.get(identity):
                kinds.append(RUNNING)
            if ("ServiceAccount", namespace, name) not in self._state.objects:
                kinds.append(CLAIM)
            yield from self._holders(kinds, (None, namespace), name)
        elif identity.startswith(GROUP):
            yield from self._members(identity)
            yield from self._holders([ANYBODY, GROUPS], (None,), identity.removeprefix(GROUP))
        else:
            yield from self._holders([ANYBODY, USERS], (None,), identity)

    def _holders(self, kinds: list[str], scopes: tuple[str | None, ...], name: str) -> Iterator[str]:
        for kind in kinds:
            for scope in scopes:
                yield from sorted(one.holder for one in self._powers.get((kind, scope), ()) if one.names is None or name in one.names)

    def _members(self, group: str) -> Iterator[str]:
        """Service accounts that are in a group because of their namespace; who else is in one only the authenticator knows."""
        if group == ALL_ACCOUNTS or group.startswith(f"{ALL_ACCOUNTS}:"):
            wanted = group.removeprefix(ALL_ACCOUNTS).removeprefix(":")
            for kind, namespace, name in self._state.objects:
                if kind == "ServiceAccount" and wanted in ("", namespace):
                    yield service_account(namespace, name)

    def _shown(self, identity: str, subject_id: str) -> list[str]:
        workloads = sorted(self._state.workloads.get(identity, ()))
        if workloads:
            return workloads
        return [] if identity == subject_id or identity in CONTROL_PLANE else [identity]


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
