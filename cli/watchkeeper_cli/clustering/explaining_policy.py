"""A policy of a cluster: how it does there, and the program that its own text makes with its exceptions and lists."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_cli.clustering.door import Unread, during
from watchkeeper_cli.clustering.moments import ago
from watchkeeper_cli.clustering.policy_rows import policy_rows
from watchkeeper_cli.clustering.shapes import Conditions, Policy, condition
from watchkeeper_cli.ending import UNREADABLE, USAGE, CommandError
from watchkeeper_cli.output.text import plural, shown
from watchkeeper_detection.checking import check_policies
from watchkeeper_detection.fields import nearest
from watchkeeper_detection.policy.model import ROOT_NAMESPACE
from watchkeeper_detection.program import Program
from watchkeeper_operator import kinds
from watchkeeper_operator.policy_objects import EXCEPTION, LIST, POLICY, read, written_of
from watchkeeper_operator.shapes import Object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from watchkeeper_cli.clustering.door import Door


class ExceptionStatus(msgspec.Struct, frozen=True, rename="camel"):
    held_back: int = 0
    last_held_back: str = ""
    conditions: Conditions = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """`lines`: how the policies of that name do in the cluster; `wrong`: what is wrong with how they are written; `program`: of what is right."""

    lines: tuple[str, ...]
    wrong: tuple[str, ...]
    program: Program


@dataclass(frozen=True, slots=True)
class Objects:
    policies: list[Object]
    exceptions: list[Object]
    lists: list[Object]


def explained(kubeconfig: Path | None, context: str | None, namespace: str | None, name: str) -> Explained:
    """Policies of this name, in a namespace or all that may be read. Ends the command when there is none."""

    async def act(door: Door) -> Explained:
        return _explained(await _fetch(door), namespace, name)

    return during(kubeconfig, context, namespace, act)


def _explained(objects: Objects, namespace: str | None, name: str) -> Explained:
    chosen = [one for one in objects.policies if one.metadata.name == name]
    if not chosen:
        like = nearest(name, {one.metadata.name for one in objects.policies})
        where = f"in namespace {namespace}" if namespace else "in the cluster"
        raise CommandError(
            f"there is no policy {name!r} {where}{f'; did you mean {like}?' if like else ''}; watchkeeper explain {name} looks in the library", USAGE
        )
    return explain_objects(chosen, objects, time.time_ns())


async def _fetch(door: Door) -> Objects:
    """Root's exceptions and lists count for a namespace's policies too, as far as they may be read."""
    (policies, _), (exceptions, _), (lists, _) = await asyncio.gather(
        door.allowed_of(kinds.RUNTIME_POLICIES, Object), door.allowed_of(kinds.POLICY_EXCEPTIONS, Object), door.allowed_of(kinds.POLICY_LISTS, Object)
    )
    if isinstance(policies, Unread):
        raise CommandError(f"{policies.why} (context {door.place.name}); `watchkeeper explain` explains the library, without a cluster", UNREADABLE)
    return Objects(policies, [] if isinstance(exceptions, Unread) else exceptions, [] if isinstance(lists, Unread) else lists)


def explain_objects(chosen: list[Object], objects: Objects, now: int) -> Explained:
    """`now`: ns since the epoch."""
    names = {one.metadata.name for one in chosen}
    places = {one.metadata.namespace for one in chosen} | {ROOT_NAMESPACE}
    exceptions = [one for one in objects.exceptions if one.spec.get("policy") in names and one.metadata.namespace in places]
    lists = [one for one in objects.lists if one.metadata.namespace in places]
    kept = [*((POLICY, one) for one in chosen), *((EXCEPTION, one) for one in exceptions), *((LIST, one) for one in lists)]
    reads = [read(written_of(kind, one.metadata, one.spec)) for kind, one in kept]
    checked = check_policies([one.document for one in reads if one.document is not None])
    wrong = [str(error) for error in (*(error for one in reads for error in one.errors), *checked.errors)]
    return Explained(tuple(_lines(chosen, exceptions, now)), tuple(dict.fromkeys(wrong)), checked.program)


def _lines(chosen: Iterable[Object], exceptions: list[Object], now: int) -> Iterator[str]:
    for one in chosen:
        policy = msgspec.convert(msgspec.to_builtins(one), Policy)
        yield from policy_lines(policy, now)
        yield from (_exception_line(exception, now) for exception in exceptions if exception.metadata.namespace in (one.metadata.namespace, ROOT_NAMESPACE))
        yield ""


def policy_lines(policy: Policy, now: int) -> Iterator[str]:
    """How it does, before what it says."""
    (row,) = policy_rows([policy])
    accepted, in_force = condition(policy.status.conditions, "Accepted"), condition(policy.status.conditions, "InForce")
    yield f"RuntimePolicy {shown(row.name)}, mode {shown(row.mode)}, {plural(row.rules, 'rule')}"
    yield f"  accepted   {shown({'True': 'yes', 'False': 'no'}.get(accepted.status, 'not judged yet') + (f': {accepted.message}' if accepted.message else ''))}"
    since = f", since {ago(row.since, now)} ago" if row.since else ""
    words = {"True": "yes", "False": "no"}.get(in_force.status, "not known yet")
    yield f"  in force   {shown(f'{words}: {in_force.message or in_force.reason}{since}')}"
    for failing in policy.status.nodes.failing if policy.status.nodes else ():
        yield f"  not on     {shown(failing.node or 'a node')}: {shown(failing.reason)}"


def _exception_line(one: Object, now: int) -> str:
    status = msgspec.convert(one.status, ExceptionStatus)
    held = f"held back {status.held_back}" + (f", the last {ago(status.last_held_back, now)} ago" if status.last_held_back else "")
    accepted = condition(status.conditions, "Accepted")
    wrong = f"; not accepted: {accepted.reason}" if accepted.status == "False" else ""
    until = f" until {one.spec['until']}" if one.spec.get("until") else ""
    return shown(f"  exception  {one.metadata.namespace}/{one.metadata.name}{until}, of {one.spec.get('owner', '?')}: {held}{wrong}")
