"""The run of `watchkeeper doctor`."""

from __future__ import annotations

import json
import platform
from collections import defaultdict
from textwrap import wrap
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_cli.ending import FAILED, SUCCEEDED, UNREADABLE
from watchkeeper_cli.examining_hooks import Hook, Hooks, try_hooks
from watchkeeper_cli.examining_host import findings
from watchkeeper_cli.finding import COLUMN, Finding, finding_lines, marked
from watchkeeper_cli.output.looks import BLIND, DIM, stdout_look
from watchkeeper_cli.output.opening import said_meanwhile
from watchkeeper_cli.output.text import plural, shown
from watchkeeper_sensor.kernel.libbpf import BpfError, BpfUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_cli.output.looks import Look

WIDTH = 100
CALLS = "tp_btf/sys_exit"


def examine(*, verbose: bool, output: str) -> int:
    """Look, try, and tell; returns the exit status."""
    found = findings()
    hooks = None
    if not any(finding.state == "missing" for finding in found):
        try:
            with said_meanwhile("trying every hook ..."):
                hooks = try_hooks()
        except (BpfUnavailableError, BpfError) as error:
            found.append(Finding(about="hooks", state="missing", says=f"the sensor can't run here: {error}", remedy=getattr(error, "log", "")))
    status = status_of(found, hooks)
    if output == "json":
        print(json.dumps(as_object(found, hooks, status), indent=1))
        return status
    look = stdout_look()
    for line in report(found, hooks, look, verbose=verbose):
        print(line)
    return status


def status_of(found: list[Finding], hooks: Hooks | None) -> int:
    if hooks is None:
        return UNREADABLE
    is_blind = any(finding.state == "blind" for finding in found) or hooks.blind or any(hook.state == "blind" for hook in hooks.hooks)
    return FAILED if is_blind else SUCCEEDED


def as_object(found: list[Finding], hooks: Hooks | None, status: int) -> dict[str, object]:
    """For scripts: what was looked at, each hook, and the kinds of events that are seen."""
    return {
        "host": platform.node(),
        "kernel": platform.release(),
        "status": {SUCCEEDED: "sees everything", FAILED: "partly blind", UNREADABLE: "can't run"}[status],
        "findings": msgspec.to_builtins(found),
        "hooks": msgspec.to_builtins(hooks.hooks) if hooks else [],
        "seen": list(hooks.seen) if hooks else [],
        "blind": list(hooks.blind) if hooks else [],
    }


def report(found: list[Finding], hooks: Hooks | None, look: Look, *, verbose: bool) -> Iterator[str]:
    """Lines for people: what is right first, then what is not, each with what to do."""
    for finding in found:
        yield from finding_lines(finding, look)
    if hooks is None:
        yield "the sensor can't run here: see MISSING above; nothing of this host can be watched"
        return
    attached = [hook for hook in hooks.hooks if hook.state == "attached"]
    total = sum(hook.state in ("attached", "blind") or bool(hook.kinds) for hook in hooks.hooks)
    yield f"{'ok':8} {'hooks':11} {len(attached)} of {plural(total, 'program')} attached; {len(hooks.seen)} of {len(hooks.seen) + len(hooks.blind)} kinds of events"
    yield from attached_lines(attached, look, verbose=verbose)
    for hook in hooks.hooks:
        if hook.state != "attached":
            yield from hook_lines(hook, look, verbose=verbose)
    for kind in hooks.blind:
        yield look.paint(f"{'BLIND':8} {kind}: no program here tells it", BLIND)
    blind = sum(finding.state == "blind" for finding in found) + sum(hook.state == "blind" for hook in hooks.hooks)
    yield f"{plural(blind, 'thing')} can't be seen here" if blind or hooks.blind else "everything that the sensor can see is seen here"
    yield "what no sensor of this kind sees: docs/sensor.md, Known blind spots"


def attached_lines(attached: list[Hook], look: Look, *, verbose: bool) -> Iterator[str]:
    """Hooks, and the programs on each."""
    by_hook: dict[str, list[Hook]] = defaultdict(list)
    for hook in attached:
        by_hook[hook.hook].append(hook)
    for place, hooks in sorted(by_hook.items()):
        names = [hook.name for hook in hooks]
        if place == CALLS:
            calls = sorted({call for hook in hooks for call in hook.calls})
            words = ", ".join(names) if verbose else f"{plural(len(names), 'program')} for {plural(len(calls), 'system call')} (-v names them)"
        else:
            words = ", ".join(names)
        for number, line in enumerate(wrap(words, WIDTH - COLUMN - 32)):
            yield look.paint(f"{'':{COLUMN}}{place if not number else '':31} {line}", DIM)


def hook_lines(hook: Hook, look: Look, *, verbose: bool) -> Iterator[str]:
    head = f"{hook.name} ({hook.hook}): {shown(hook.reason)}"
    if hook.state == "blind":
        yield f"{marked('blind', look)} {'hook':11} {head}; not seen: {', '.join(hook.kinds)}"
    else:
        yield f"{'note':8} {hook.state:11} {head}"
    if hook.remedy:
        yield f"{'':{COLUMN}}{look.arrow} {hook.remedy}"
    if verbose and hook.log:
        yield from (f"{'':{COLUMN}}{shown(line)}" for line in hook.log.splitlines())
