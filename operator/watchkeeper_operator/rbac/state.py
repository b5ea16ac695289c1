"""All objects that decide about rights, indexed for what changes ask: which bindings a role, a subject or an account concerns, and who holds what."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from watchkeeper_detection.logs.rbac import group_id
from watchkeeper_detection.subject import service_account
from watchkeeper_operator.rbac.aggregation import effective_rules
from watchkeeper_operator.rbac.risks import joined, risks_of
from watchkeeper_operator.rbac.shapes import Account, Binding, Pod, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_operator.rbac.aggregation import Effective
    from watchkeeper_operator.rbac.shapes import Key, Rule, Subject, Watched

GRANTS_TOLD = 10_000  # of one binding; an object of 1.5 MB can name more
GROUP, ACCOUNT = group_id(""), service_account("", "")[:-1]  # what ids of groups and of service accounts begin with
S = TypeVar("S")


class Holder(NamedTuple):
    """A subject of a binding."""

    kind: str
    name: str
    namespace: str
    id: str


class Grant(NamedTuple):
    """One subject holds one rule through one binding; `namespace` None: in the whole cluster."""

    holder: Holder
    effective: Effective
    namespace: str | None
    risks: frozenset[str]

    @property
    def identity(self) -> tuple[str, Rule]:
        """What makes it the same grant of its binding."""
        return self.holder.id, self.effective.rule


class Running(NamedTuple):
    """A pod, as far as it says who it can be."""

    account: str
    workload: str
    in_daemon_set: bool


class State:
    """Reads no clock and does no I/O. `put` and `remove` are idempotent."""

    def __init__(self) -> None:
        self.objects: dict[Key, Watched] = {}
        self.cluster_roles: dict[str, Role] = {}
        self.aggregating: set[str] = set()
        self.pods: dict[tuple[str, str], Running] = {}
        self.workloads: defaultdict[str, Counter[str]] = defaultdict(Counter)  # account → workloads, with how many pods
        self.daemon_sets: Counter[str] = Counter()  # account → pods of DaemonSets
        self.rights_generation = 0
        self.pods_generation = 0
        self._rules: dict[Key, list[Effective]] = {}
        self._held: dict[tuple[str, str | None], frozenset[str]] = {}
        self._bindings_of_role: defaultdict[Key, set[Key]] = defaultdict(set)
        self._bindings_of_holder: defaultdict[str, set[Key]] = defaultdict(set)

    def put(self, key: Key, one: Watched) -> None:
        self.remove(key)
        self.objects[key] = one
        if isinstance(one, Role) and key[0] == "ClusterRole":
            self.cluster_roles[key[2]] = one
            if one.aggregation_rule is not None:
                self.aggregating.add(key[2])
        elif isinstance(one, Binding):
            self._bindings_of_role[role_key(one)].add(key)
            for holder in holders_of(one):
                self._bindings_of_holder[holder.id].add(key)

    def remove(self, key: Key) -> None:
        one = self.objects.pop(key, None)
        self.rights_generation += 1
        self._rules.clear()
        self._held.clear()
        if isinstance(one, Role):
            if key[0] == "ClusterRole":
                self.cluster_roles.pop(key[2], None)
                self.aggregating.discard(key[2])
        elif isinstance(one, Binding):
            _drop(self._bindings_of_role, role_key(one), key)
            for holder in holders_of(one):
                _drop(self._bindings_of_holder, holder.id, key)

    def put_pod(self, pod: Pod) -> None:
        running = running_of(pod)
        if self.pods.get((pod.metadata.namespace, pod.metadata.name)) == running:
            return  # its status changes all the time
        self.remove_pod(pod.metadata.namespace, pod.metadata.name)
        self.pods[pod.metadata.namespace, pod.metadata.name] = running
        self.workloads[running.account][running.workload] += 1
        if running.in_daemon_set:
            self.daemon_sets[running.account] += 1

    def remove_pod(self, namespace: str, name: str) -> None:
        running = self.pods.pop((namespace, name), None)
        self.pods_generation += 1
        if running is not None:
            _uncount(self.workloads[running.account], running.workload)
            if not self.workloads[running.account]:
                del self.workloads[running.account]
            if running.in_daemon_set:
                _uncount(self.daemon_sets, running.account)

    def bindings(self) -> Iterator[tuple[Key, Binding]]:
        return ((key, one) for key, one in self.objects.items() if isinstance(one, Binding))

    def holders(self) -> list[str]:
        """Canonical ids of everybody who is named in a binding."""
        return list(self._bindings_of_holder)

    def bindings_of_role(self, key: Key) -> set[Key]:
        return self._bindings_of_role.get(key, set())

    def bindings_of_holder(self, holder_id: str) -> set[Key]:
        return self._bindings_of_holder.get(holder_id, set())

    def rules_of(self, key: Key) -> list[Effective]:
        """Of a role that is there; else none."""
        if key not in self._rules:
            role = self.objects.get(key)
            self._rules[key] = effective_rules(role, self.cluster_roles) if isinstance(role, Role) else []
        return self._rules[key]

    def grants_of(self, key: Key) -> tuple[list[Grant], int]:
        """Grants of a binding, those with risks first, and how many were left out."""
        binding = self.objects.get(key)
        if not isinstance(binding, Binding):
            return [], 0
        namespace = scope_of(binding)
        weighed = [(risks_of(one.rule, namespace), one) for one in self.rules_of(role_key(binding))]
        weighed.sort(key=lambda pair: not pair[0])
        holders = holders_of(binding)
        fitting = GRANTS_TOLD // max(1, len(holders)) + 1
        grants = [Grant(holder, one, namespace, risks) for risks, one in weighed[:fitting] for holder in holders]
        return grants[:GRANTS_TOLD], max(0, len(weighed) * len(holders) - GRANTS_TOLD)

    def held_through(self, keys: set[Key], namespace: str | None) -> frozenset[str]:
        """Risks that bindings give in a namespace (with what they give everywhere), joined ones left out."""
        held: set[str] = set()
        for key in keys:
            binding = self.objects.get(key)
            if isinstance(binding, Binding) and (scope := scope_of(binding)) in (None, namespace):
                for effective in self.rules_of(role_key(binding)):
                    held |= risks_of(effective.rule, scope)
        return frozenset(held)

    def held_by(self, holder_id: str, namespace: str | None) -> frozenset[str]:
        """All that a subject's rights amount to in a namespace, or in the whole cluster."""
        asked = holder_id, namespace
        if asked not in self._held:
            held = self.held_through(self.bindings_of_holder(holder_id), namespace)
            self._held[asked] = held | joined(held)
        return self._held[asked]

    def exists(self, holder: Holder) -> bool | None:
        """Whether a service account is there; None for users and groups, of which there are no objects."""
        if holder.kind != "ServiceAccount":
            return None
        return isinstance(self.objects.get(("ServiceAccount", holder.namespace, holder.name)), Account)


def scope_of(binding: Binding) -> str | None:
    """Namespace that a binding's rights are for; None: the whole cluster."""
    return binding.metadata.namespace or None


def role_key(binding: Binding) -> Key:
    reference = binding.role_ref
    return reference.kind, binding.metadata.namespace if reference.kind == "Role" else "", reference.name


def holders_of(binding: Binding) -> list[Holder]:
    """Subjects of a binding, each once."""
    return list(dict.fromkeys(holder_of(one, binding.metadata.namespace) for one in binding.subjects or ()))


def holder_of(subject: Subject, namespace: str) -> Holder:
    """A user who is called like a service account is that account to the API server; one who is called like a group's id must not be taken for it."""
    match subject.kind:
        case "ServiceAccount":
            home = subject.namespace or namespace
            return Holder("ServiceAccount", subject.name, home, service_account(home, subject.name))
        case "Group":
            return Holder("Group", subject.name, "", group_id(subject.name))
    if subject.name.startswith(ACCOUNT):
        home, _, name = subject.name.removeprefix(ACCOUNT).partition(":")
        return Holder("ServiceAccount", name, home, subject.name)
    return Holder("User", subject.name, "", f"user:{subject.name}" if subject.name.startswith(GROUP) else subject.name)


def running_of(pod: Pod) -> Running:
    """The workload is the controller above a ReplicaSet where its name says so, else the pod's own controller, else the pod."""
    meta = pod.metadata
    account = service_account(meta.namespace, pod.spec.service_account_name or "default")
    owner = next((one for one in meta.owner_references or () if one.controller), None)
    if owner is None:
        return Running(account, f"namespaces/{meta.namespace}/pods/{meta.name}", in_daemon_set=False)
    kind, name, template = owner.kind, owner.name, meta.labels.template_hash if meta.labels else ""
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
        kind, name = "Deployment", name[: -len(template) - 1]
    return Running(account, f"namespaces/{meta.namespace}/{kind.lower()}s/{name}", in_daemon_set=kind == "DaemonSet")


def _drop(index: defaultdict[S, set[Key]], name: S, key: Key) -> None:
    index[name].discard(key)
    if not index[name]:
        del index[name]


def _uncount(counter: Counter[str], name: str) -> None:
    counter[name] -= 1
    if counter[name] <= 0:
        del counter[name]
