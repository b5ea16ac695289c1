"""Which rules can't fire under a cluster's audit policy: told by requests that are refused, and how they arrive.

A refused request is logged at the level that the policy gives it, needs no rights and changes nothing. What it can't tell: levels that depend on
who asks or on an object's name, omitted stages, and requests that everybody may make.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_operator.audit.demands import CLUSTER_SCOPED, GROUPS, Demand, meets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from watchkeeper_operator.audit.state import Arrival

NOWHERE = "watchkeeper-canary"
"""Namespace and name of what canaries ask for. Neither is there: an account that was given rights by mistake could still do no harm."""
ALLOWED_TO_ALL = frozenset(("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"))
METHODS = {"get": "GET", "list": "GET", "watch": "GET", "create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE", "deletecollection": "DELETE"}
READS = ("get", "list", "watch")
ANY_VERB = ("get", "create")  # where a rule names none
UNTESTED = (
    "levels that depend on the user, the group or the object's name",
    "stages that the policy omits: a refused request has one only",
    "reviews that everybody may ask for (selfsubjectaccessreviews, selfsubjectrulesreviews)",
)


class Probe(msgspec.Struct, frozen=True, order=True):
    """One request that the canary account may not make."""

    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str

    @property
    def method(self) -> str:
        return METHODS[self.verb]

    @property
    def uri(self) -> str:
        """Path and query as the log will have them. Writes are dry runs, for the case that they are not refused."""
        whole = self.verb in ("list", "watch", "deletecollection") or (self.verb == "create" and not self.subresource)
        parts = ["apis", self.group, "v1"] if self.group else ["api", "v1"]
        parts += ["namespaces", self.namespace] if self.namespace else []
        parts += [self.resource, *([] if whole else [NOWHERE]), *([self.subresource] if self.subresource and not whole else [])]
        query = "?watch=1" if self.verb == "watch" else "" if self.verb in READS else "?dryRun=All"
        return "/" + "/".join(parts) + query

    @property
    def what(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class BlindRule(msgspec.Struct, frozen=True):
    """`rule`: `policy/rule`, of a policy in `namespace`. Not `wholly`: some of the requests that it is about are logged well enough, others not."""

    rule: str
    reason: str
    wholly: bool
    namespace: str = ""


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """What one run showed. `slowest_seconds`: of those that arrived; `rules`: that read audit events."""

    sent: int
    arrived: int
    slowest_seconds: float
    rules: int
    blind: tuple[BlindRule, ...]

    @property
    def wholly(self) -> tuple[BlindRule, ...]:
        return tuple(one for one in self.blind if one.wholly)


def probes_of(demand: Demand) -> tuple[Probe, ...]:
    """Requests that a demand is about, one for each combination; none where it names no resource."""
    return tuple(
        Probe(verb, GROUPS.get(resource, ""), resource, subresource, "" if resource in CLUSTER_SCOPED else namespace)
        for resource, subresource, verb, namespace in product(
            demand.resources, demand.subresources or ("",), demand.verbs or ANY_VERB, demand.namespaces[:1] or (NOWHERE,)
        )
        if resource not in ALLOWED_TO_ALL and verb in METHODS and not (verb == "deletecollection" and namespace != NOWHERE)
    )


def probes(demands: Iterable[Demand]) -> tuple[Probe, ...]:
    """All there are to send, each once, reads first: an account that has rights after all is found out by those."""
    return tuple(sorted({probe for demand in demands for probe in probes_of(demand)}, key=lambda probe: (probe.verb not in READS, probe)))


def coverage(demands: Sequence[Demand], sent: Sequence[Probe], arrivals: Iterable[Arrival]) -> Coverage:
    """What the arrivals of one run show."""
    came = {(one.verb, one.uri): one for one in arrivals}
    levels = {probe: came[probe.verb, probe.uri].level for probe in sent if (probe.verb, probe.uri) in came}
    blind: dict[tuple[str, str], BlindRule] = {}
    for demand in demands:
        found, rule = _blind(demand, levels, frozenset(sent)), (demand.namespace, demand.rule)
        if found is not None and (rule not in blind or found.wholly > blind[rule].wholly):
            blind[rule] = found
    return Coverage(
        sent=len(sent),
        arrived=len(levels),
        slowest_seconds=max((one.delay_seconds for one in came.values()), default=0.0),
        rules=len({(demand.namespace, demand.rule) for demand in demands}),
        blind=tuple(blind.values()),
    )


def _blind(demand: Demand, levels: Mapping[Probe, str], sent: frozenset[Probe]) -> BlindRule | None:
    if not demand.resources:  # a rule on whatever is logged
        enough = not sent or any(meets(level, demand.level) for level in levels.values())
        return None if enough else BlindRule(demand.rule, f"nothing is logged at level {demand.level}", True, demand.namespace)
    asked = [probe for probe in probes_of(demand) if probe in sent]
    unmet = [probe for probe in asked if not meets(levels.get(probe), demand.level)]
    if not unmet:  # also where nothing that it is about could be tested
        return None
    first = unmet[0]
    reason = f"audit level {demand.level} for {first.verb} of {first.what}; {levels.get(first, 'nothing')} is logged"
    return BlindRule(demand.rule, reason, len(unmet) == len(asked), demand.namespace)
