"""What is not seen in a cluster at this moment, the gravest first, each with its reason and what to do. No I/O."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_cli.clustering.door import Unread
from watchkeeper_cli.clustering.facts import COLLECTOR, OPERATOR
from watchkeeper_cli.clustering.moments import ago, seconds_since
from watchkeeper_cli.clustering.policy_rows import policy_rows
from watchkeeper_cli.clustering.shapes import condition
from watchkeeper_cli.output.text import number, plural
from watchkeeper_operator.names import ROOT_NAMESPACE, SYSTEM_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from watchkeeper_cli.clustering.facts import Facts
    from watchkeeper_cli.clustering.processes import Deployment, Lease
    from watchkeeper_cli.clustering.shapes import LogSource, NodeSensor

AUDIT = "watchkeeper audit-config writes an audit policy under which they can; docs/audit.md"
UNLED_SECONDS = 60.0  # without a renewal of the Lease, which is renewed every two: this machine's clock may be wrong by less
RECENT_SECONDS = 86_400.0  # a gap that is over is told for so long
NAMED = 10  # of one sort; the others are counted


class Blind(msgspec.Struct, frozen=True):
    """`what` is not seen or not judged, `why`, and what to do about it."""

    what: str
    why: str
    remedy: str = ""


def blind_in(facts: Facts, now: int, *, rules: int = 1) -> Iterator[Blind]:
    """Processes first: while they are down, all else is as they last said. `rules`: how many that can't fire are named of a log source."""
    yield from _processes(facts, now)
    yield from _sensors(facts)
    yield from _nodes(facts, now)
    yield from _logs(facts, now, rules)
    if not isinstance(facts.policies, Unread):
        failing = [Blind(f"policy {row.short}", row.why, f"kubectl watchkeeper explain {row.short}") for row in policy_rows(facts.policies) if row.is_blind]
        yield from _first(failing, "policies are not in force", "kubectl watchkeeper policies")


def is_led(lease: Lease | None, now: int) -> bool:
    """Whether somebody holds the Lease and renews it."""
    if lease is None or not lease.spec.holder_identity:
        return False
    since = seconds_since(lease.spec.renew_time, now)
    return since is not None and since <= UNLED_SECONDS


def _processes(facts: Facts, now: int) -> Iterator[Blind]:
    operator, collector = facts.deployments[OPERATOR], facts.deployments[COLLECTOR]
    look = f"kubectl -n {SYSTEM_NAMESPACE} get pods"
    if not _runs(operator):
        yield Blind("operator", f"{_state(operator)}: nothing is joined into incidents, and all below is as it was then", look)
    elif not isinstance(facts.lease, Unread) and not is_led(facts.lease, now):
        since = f" for {ago(facts.lease.spec.renew_time, now)}" if facts.lease and facts.lease.spec.renew_time else ""
        yield Blind("operator", f"nobody leads{since}: nothing is joined into incidents", f"kubectl -n {SYSTEM_NAMESPACE} logs deployment/{OPERATOR}")
    if not _runs(collector):
        yield Blind("collector", f"{_state(collector)}: nodes keep what they find, audit events are lost after about 80 s", look)


def _runs(found: Deployment | Unread | None) -> bool:
    """Unread counts as running: what is not known is said elsewhere."""
    return isinstance(found, Unread) or (found is not None and found.status.ready_replicas > 0)


def _state(found: Deployment | Unread | None) -> str:
    return "not installed" if found is None or isinstance(found, Unread) else f"0 of {plural(found.spec.replicas, 'replica')} ready"


def _sensors(facts: Facts) -> Iterator[Blind]:
    if isinstance(facts.sensors, Unread):
        return
    if not facts.sensors:
        yield Blind("all nodes", "there is no Sensor: no node is watched", "kubectl apply a Sensor with `spec: {}`, which is all nodes")
    if isinstance(facts.nodes, Unread) or isinstance(facts.node_sensors, Unread) or not facts.sensors:
        return
    known = {one.metadata.name for one in facts.node_sensors}
    unwatched = [Blind(f"node {one.metadata.name}", "no Sensor selects it") for one in facts.nodes if one.metadata.name not in known]
    yield from _first(unwatched, "nodes are watched by no Sensor", "kubectl get sensors -o yaml")


def _nodes(facts: Facts, now: int) -> Iterator[Blind]:
    if isinstance(facts.node_sensors, Unread):
        if not isinstance(facts.sensors, Unread):
            for one in facts.sensors:
                yield from (Blind(f"node {failing.node}", failing.reason) for failing in one.status.nodes.failing)
        return
    found = [Blind(f"node {one.metadata.name}", why) for one in facts.node_sensors if (why := _why(one, now))]
    yield from _first(sorted(found, key=lambda one: one.what), "nodes are blind", "kubectl get nodesensors")


def _why(one: NodeSensor, now: int) -> str:
    status = one.status
    connected, seeing = condition(status.conditions, "Connected"), condition(status.conditions, "Seeing")
    if connected.status != "True":
        return f"silent, last heard {ago(status.heard_at, now)} ago" if status.heard_at else "its sensor was never heard"
    if seeing.reason == "Losing":
        lost = sum(loss.records for loss in status.lost)
        return f"{number(lost)} records lost since the sensor started ({', '.join(loss.cause for loss in status.lost)})"
    if seeing.status == "False":
        return "; ".join(status.blind_spots[:2]) or seeing.message
    return ""


def _logs(facts: Facts, now: int, rules: int) -> Iterator[Blind]:
    if isinstance(facts.log_sources, Unread):
        return
    if not facts.log_sources:
        yield Blind("audit log", "there is no LogSource: nothing that is asked of the API server is judged", "docs/audit.md; watchkeeper audit-config --help")
    for one in facts.log_sources:
        yield from _log(one, now, rules)


def _log(one: LogSource, now: int, rules: int) -> Iterator[Blind]:
    what, status = f"log source {one.metadata.name}", one.status
    receiving, covered = condition(status.conditions, "Receiving"), condition(status.conditions, "Covered")
    if receiving.status != "True":
        last = f"no record for {ago(status.last_record_at, now)}" if status.last_record_at else "no record has come yet"
        yield Blind(what, last, "kubectl watchkeeper doctor")
    for gap in [gap for gap in status.gaps if is_recent(gap.until, now)][:2]:
        words = f"gap since {ago(gap.since, now)} ago" if not gap.until else f"gap from {ago(gap.since, now)} to {ago(gap.until, now)} ago"
        yield Blind(what, f"{words}: {gap.reason}{'' if gap.records is None else f' ({number(gap.records)} records)'}")
    if covered.status == "False" and status.coverage:
        named = "; ".join(f"{rule.policy.removeprefix(f'{ROOT_NAMESPACE}/')}/{rule.rule} ({rule.reason})" for rule in status.coverage.blind_rules[:rules])
        more = " …" if status.coverage.blind > rules else ""
        yield Blind(what, f"{status.coverage.blind} of {plural(status.coverage.rules, 'rule')} can't fire{f': {named}' if named else ''}{more}", AUDIT)


def is_recent(until: str, now: int) -> bool:
    """Whether a gap goes on, or went on within a day."""
    since = seconds_since(until, now)
    return since is None or since < RECENT_SECONDS


def _first(found: Iterable[Blind], others: str, remedy: str) -> Iterator[Blind]:
    """Ten of them, and how many more there are."""
    rows = list(found)
    yield from islice(rows, NAMED)
    if len(rows) > NAMED:
        yield Blind(f"{number(len(rows) - NAMED)} more", others, remedy)
