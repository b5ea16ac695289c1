"""A detection in lines for people: what happened, who did it and where that came from, what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from watchkeeper_cli.output.looks import BLIND, BOLD, DIM, SEVERITIES
from watchkeeper_cli.output.text import clock, plural, shown

if TYPE_CHECKING:
    from watchkeeper_cli.output.looks import Look
    from watchkeeper_detection.detection import Act, Detection

ANCESTORS_SHOWN = 5
ID_SHOWN = 8  # letters of a detection's id: enough to find it again
CONTAINER_SHOWN = 12
FIRST_STEP = 300  # letters of the runbook's first thing to check


def headline(detection: Detection, look: Look, *, with_rule: bool) -> str:
    """Time, severity, title, rule, ATT&CK."""
    severity = look.paint(detection.severity, SEVERITIES[detection.severity])
    title = look.paint(shown(detection.title), BOLD)
    techniques = " ".join(one for one in detection.attack if one[1:2].isdigit())
    rule = f"[{' '.join(filter(None, (f'{detection.policy}/{detection.rule}' if with_rule else '', techniques)))}]"
    return f"{clock(detection.observed_at)} {severity} {title}" + (f"  {look.paint(rule, DIM)}" if rule != "[]" else "")


def full_lines(detection: Detection, look: Look, *, width: int, indented: bool, with_act: bool = True) -> list[str]:
    """Everything worth knowing at once. `width`: letters of the longest line; `indented`: the process tree on a line each; without `with_act`
    the process is the one of the detection before.
    """
    lines = [headline(detection, look, with_rule=not indented), f"    {shown(detection.message, width)}"]
    if detection.act is not None and with_act:
        lines += [f"    {line}" for line in act_lines(detection.act, look, width=width, indented=indented)]
    elif detection.act is not None:
        lines.append(look.paint("    by the process above", DIM))
    if unknown := unknown_words(detection):
        lines.append(f"    {look.paint(shown(unknown, width), BLIND)}")
    if step := first_step(detection.runbook):
        lines.append(f"    {look.arrow} check: {shown(step, FIRST_STEP)}")
    return lines


def more_lines(detection: Detection, look: Look, *, columns: int) -> list[str]:
    """Where to read on: commands to copy, on one line where they fit."""
    words = [f"{look.arrow} watchkeeper detections show {detection.id[:ID_SHOWN]}", f"{look.arrow} watchkeeper explain {detection.policy}/{detection.rule}"]
    lines = ["  ".join(words)] if sum(map(len, words)) + 8 < columns else words
    return [f"    {look.paint(line, DIM)}" for line in lines]


def act_lines(act: Act, look: Look, *, width: int, indented: bool, ancestors: int = ANCESTORS_SHOWN) -> list[str]:
    """The process tree, ancestors first, and the container."""
    lines = _tree(act, look, width, ancestors) if indented else _chain(act, width, ancestors)
    if act.container_id:
        lines.append(shown(container_words(act), width))
    return lines


def _tree(act: Act, look: Look, width: int, most: int) -> list[str]:
    above = list(zip(act.ancestors, act.ancestor_process_ids, strict=False))[:most]
    lines = [f"{'  ' * depth}{look.branch if depth else ''}{_step(name, number, width)}" for depth, (name, number) in enumerate(reversed(above))]
    if len(act.ancestors) > most:
        lines.insert(0, look.paint(f"{plural(len(act.ancestors) - most, 'ancestor')} more", DIM))
    depth = len(above)
    command = f": {shown(act.command_line, width)}" if act.command_line else ""
    lines.append(f"{'  ' * depth}{look.branch if depth else ''}{_step(act.process, act.process_id, width)} as {shown(act.user or '?', width)}{command}")
    return lines


def _step(name: str | None, number: int | None, width: int) -> str:
    return f"{shown(name or '?', width)} [{'?' if number is None else number}]"


def _chain(act: Act, width: int, most: int) -> list[str]:
    names = [one or "?" for one in act.ancestors[:most]]
    more = ["..."] if len(act.ancestors) > most else []
    chain = " > ".join([*more, *reversed(names), f"{act.process or '?'}[{act.process_id}]"])
    lines = [shown(f"{chain}  as {act.user or '?'}", width)]
    if act.command_line and act.command_line != act.process:
        lines.append(shown(f"$ {act.command_line}", width))
    return lines


def container_words(act: Act) -> str:
    where = act.container or (act.container_id or "")[:CONTAINER_SHOWN]
    return f"container {where}{f' ({act.image})' if act.image else ''}{f' of pod {act.pod}' if act.pod else ''}"


def unknown_words(detection: Detection) -> str:
    """What the sensor could not know about this act; empty when there is nothing of the kind."""
    words = []
    if detection.act is not None and detection.act.container_id and not detection.act.image and not detection.act.container:
        words.append("name, image and pod of the container are not known: no runtime's file describes it")
    if detection.unresolved:
        words.append(f"not known in time: {', '.join(detection.unresolved)}")
    return f"BLIND: {'; '.join(words)}" if words else ""


def first_step(runbook: str) -> str:
    """The runbook's first thing to check, on one line."""
    _, found, rest = runbook.partition("What to check:")
    text = re.split("How to (?:contain|tune):", rest)[0] if found else runbook
    return " ".join(text.split())
