"""Checks of `kubectl watchkeeper doctor`, one a function: what was looked at → findings, each with a remedy. No I/O."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from watchkeeper_cli.clustering.blind import blind_in, is_led
from watchkeeper_cli.clustering.checks_of_installation import admission, definitions, kubernetes, network, people
from watchkeeper_cli.clustering.door import Unread
from watchkeeper_cli.clustering.facts import COLLECTOR, OPERATOR
from watchkeeper_cli.clustering.moments import ago
from watchkeeper_cli.clustering.overview import paused_by
from watchkeeper_cli.clustering.policy_rows import policy_rows
from watchkeeper_cli.clustering.shapes import condition
from watchkeeper_cli.finding import Finding
from watchkeeper_cli.output.text import plural
from watchkeeper_operator.authority.certificates import AuthorityError, read_certificates
from watchkeeper_operator.names import SYSTEM_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from watchkeeper_cli.clustering.facts import Facts
    from watchkeeper_cli.clustering.looking import Looked
    from watchkeeper_cli.clustering.processes import Deployment, Pod

SOON = timedelta(days=30)
PODS_NAMED = 5
RULES_NAMED = 10
RESTARTS = 5
LOGS = f"kubectl -n {SYSTEM_NAMESPACE} logs deployment/"


def findings(looked: Looked, now: int) -> list[Finding]:
    """`now`: ns since the epoch. Without our kinds only what bears on an installation is looked at."""
    found = [*kubernetes(looked), *definitions(looked), *admission(looked)]
    if looked.facts is not None:
        for check in CHECKS:
            found += check(looked, looked.facts, now)
    return [*found, *people(looked), *network(looked)]


def processes(_looked: Looked, facts: Facts, _now: int) -> Iterator[Finding]:
    for name, found in facts.deployments.items():
        about = name.removeprefix("watchkeeper-")
        if isinstance(found, Unread):
            yield unknown(about, found)
        elif found is None:
            yield Finding(
                about=about, state="missing", says=f"there is no Deployment {name}", remedy="kubectl apply --server-side -k manifests/overlays/quickstart"
            )
        else:
            yield _replicas(about, found)
            yield from _store(about, found)


def _replicas(about: str, found: Deployment) -> Finding:
    says = f"{found.status.ready_replicas} of {plural(found.spec.replicas, 'replica')} ready, {_image(found)}"
    if found.status.ready_replicas < found.spec.replicas or not found.spec.replicas:
        state = "blind" if found.status.ready_replicas else "missing"
        why = condition(found.status.conditions, "Available").message
        return Finding(about=about, state=state, says=f"{says}{f': {why}' if why else ''}", remedy=f"{LOGS}{found.metadata.name}")  # type: ignore[arg-type]  # of the two
    return Finding(about=about, state="ok", says=says)


def _image(found: Deployment) -> str:
    return next((container.image for container in found.spec.template.spec.containers), "no image")


def _store(about: str, found: Deployment) -> Iterator[Finding]:
    """A file of SQLite belongs to one replica: two would each have half of the truth."""
    store = store_of(found)
    if found.spec.replicas > 1 and (not store or store.startswith("sqlite")):
        yield Finding(
            about=about,
            state="missing",
            says=f"{found.spec.replicas} replicas on SQLite, which belongs to one",
            remedy="the overlay production, with PostgreSQL; until then: replicas 1",
        )


def store_of(found: Deployment) -> str:
    """The URL where the manifest says it, `a Secret` where that has it, or "": the default, which is SQLite."""
    for container in found.spec.template.spec.containers:
        for number, argument in enumerate(container.args):
            if argument.startswith("--store="):
                return argument.removeprefix("--store=")
            if argument == "--store" and number + 1 < len(container.args):
                return container.args[number + 1]
        for variable in container.env:
            if variable.name == "WATCHKEEPER_STORE":
                return variable.value or "a Secret"
    return ""


def lease(_looked: Looked, facts: Facts, now: int) -> Iterator[Finding]:
    found = facts.lease
    if isinstance(found, Unread):
        yield unknown("leader", found)
    elif found is None or not is_led(found, now):
        since = f": last renewed {ago(found.spec.renew_time, now)} ago by {found.spec.holder_identity or 'nobody'}" if found else ""
        yield Finding(about="leader", state="missing", says=f"no operator holds the Lease{since}", remedy=f"{LOGS}{OPERATOR}")
    else:
        yield Finding(
            about="leader", state="ok", says=f"{found.spec.holder_identity}, for {ago(found.spec.acquire_time, now)}, epoch {found.spec.lease_transitions}"
        )


def pods(looked: Looked, _facts: Facts, _now: int) -> Iterator[Finding]:
    """What keeps pods from running: at night this is what is looked for first."""
    if isinstance(looked.pods, Unread):
        yield unknown("pods", looked.pods)
        return
    failing = [(one.metadata.name, why) for one in looked.pods if (why := _pod_trouble(one))]
    for name, why in failing[:PODS_NAMED]:
        yield Finding(about="pods", state="blind", says=f"{name}: {why}", remedy=f"kubectl -n {SYSTEM_NAMESPACE} describe pod {name}")
    if len(failing) > PODS_NAMED:
        yield Finding(about="pods", state="blind", says=f"{plural(len(failing) - PODS_NAMED, 'pod')} more", remedy=f"kubectl -n {SYSTEM_NAMESPACE} get pods")
    if not failing:
        yield Finding(about="pods", state="ok", says=f"{plural(len(looked.pods), 'pod')} in {SYSTEM_NAMESPACE}, none held up")


def _pod_trouble(one: Pod) -> str:
    for container in one.status.container_statuses:
        waiting = container.state.waiting
        if waiting is not None and waiting.reason not in ("", "ContainerCreating", "PodInitializing"):
            return f"{container.name} waits: {waiting.reason}{f', {waiting.message}' if waiting.message else ''}"
        if container.restart_count >= RESTARTS:
            return f"{container.name} was restarted {container.restart_count} times"
    scheduled = condition(one.status.conditions, "PodScheduled")
    return f"no node takes it: {scheduled.message}" if scheduled.status == "False" else ""


def certificates(looked: Looked, _facts: Facts, now: int) -> Iterator[Finding]:
    """The roots that sensors check the collector by; the operator replaces them when four fifths of their time are over."""
    if isinstance(looked.bundle, Unread):
        yield unknown("authority", looked.bundle)
        return
    if looked.bundle is None:
        yield Finding(about="authority", state="missing", says="there is no authority yet: the operator makes it when it leads", remedy=f"{LOGS}{OPERATOR}")
        return
    try:
        roots = read_certificates(looked.bundle.data.get("ca.crt", ""))
    except AuthorityError as wrong:
        yield Finding(about="authority", state="missing", says=f"ConfigMap {looked.bundle.metadata.name}: {wrong}", remedy=f"{LOGS}{OPERATOR}")
        return
    at = datetime.fromtimestamp(now // 10**9, UTC)
    last = max(root.not_valid_after_utc for root in roots)
    says = f"{plural(len(roots), 'root')}, valid until {last:%Y-%m-%d}"
    if last <= at:
        yield Finding(about="authority", state="missing", says=f"expired on {last:%Y-%m-%d}: no sensor connects", remedy=f"{LOGS}{OPERATOR}")
    else:
        late = last - at < SOON
        yield Finding(about="authority", state="note" if late else "ok", says=says, remedy="the operator should have replaced it by now" if late else "")


def seeing(_looked: Looked, facts: Facts, now: int) -> Iterator[Finding]:
    """Nodes, audit log and policies: all that `status` calls blind, but for the processes, which have their own checks."""
    own = (OPERATOR.removeprefix("watchkeeper-"), COLLECTOR.removeprefix("watchkeeper-"))
    found = [one for one in blind_in(facts, now, rules=RULES_NAMED) if one.what not in own]
    for one in found:
        yield Finding(about="seeing", state="blind", says=f"{one.what}: {one.why}", remedy=one.remedy)
    for part in (facts.sensors, facts.node_sensors, facts.nodes, facts.log_sources, facts.policies):
        if isinstance(part, Unread):
            yield unknown("seeing", part)
    if not isinstance(facts.node_sensors, Unread) and not isinstance(facts.log_sources, Unread) and not found:
        yield Finding(
            about="seeing", state="ok", says=f"{plural(len(facts.node_sensors), 'node')}, {plural(len(facts.log_sources), 'log source')}: nothing is blind"
        )


def policies(_looked: Looked, facts: Facts, _now: int) -> Iterator[Finding]:
    """Of those that hold somewhere in an older form; where nothing of them holds, `seeing` says so."""
    if isinstance(facts.policies, Unread):
        return
    rows = policy_rows(facts.policies)
    for row in rows:
        if row.is_failing and not row.is_blind:
            yield Finding(about="policies", state="note", says=f"{row.short}: {row.why}", remedy=f"kubectl watchkeeper explain {row.short}")
    if not rows:
        yield Finding(
            about="policies", state="blind", says="there are none: nothing is looked for", remedy="kubectl apply --server-side -k manifests/overlays/quickstart"
        )
    elif not any(row.is_failing for row in rows):
        yield Finding(about="policies", state="ok", says=f"{plural(len(rows), 'policy', 'policies')}, each as it is written")


def paused(_looked: Looked, facts: Facts, _now: int) -> Iterator[Finding]:
    if isinstance(facts.paused, Unread):
        yield unknown("responses", facts.paused)
    elif (known := paused_by(facts.paused)) is not None:
        says = f"paused by {known.by} at {known.at}{f': {known.reason}' if known.reason else ''}"
        yield Finding(about="responses", state="blind", says=says, remedy="kubectl watchkeeper resume")


def unknown(about: str, part: Unread) -> Finding:
    """What can't be looked at is never well."""
    return Finding(about=about, state="blind", says=f"not known: {part.why}", remedy="docs/kubectl.md: what each command needs")


CHECKS: tuple[Callable[[Looked, Facts, int], Iterator[Finding]], ...] = (
    processes,
    lease,
    pods,
    certificates,
    seeing,
    policies,
    paused,
)
