"""Lints on what surrounds a condition: techniques, runbooks, names, lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_detection.attack import REPLACED_IN_V19, TACTICS, TECHNIQUES
from watchkeeper_detection.lint.subject import Spot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_detection.lint.subject import Library

URGENT = ("P1", "P2")


def unknown_techniques(library: Library) -> Iterator[Spot]:
    for rule in library.rules:
        for number, technique in enumerate(rule.rule.attack):
            if technique in TECHNIQUES:
                continue
            now = REPLACED_IN_V19.get(technique)
            parent = technique.partition(".")[0]
            meant = (
                f"it is {now} ({TECHNIQUES[now].full_name}) since v19"
                if now
                else f"{parent} is {TECHNIQUES[parent].name}"
                if parent in TECHNIQUES
                else "see attack.mitre.org"
            )
            yield rule.spot(("attack", number), f"ATT&CK has no technique {technique}", meant)


def without_technique(library: Library) -> Iterator[Spot]:
    for rule in library.rules:
        if not rule.rule.attack:
            yield rule.spot((), "names no ATT&CK technique", "add attack: [T…]; coverage and reports count by it")


def in_another_tactics_folder(library: Library) -> Iterator[Spot]:
    for policy, place in library.policies:
        folder = place.file.replace("\\", "/").rpartition("/")[0].rpartition("/")[2]
        techniques = [TECHNIQUES[id_] for rule in policy.spec.rules for id_ in rule.attack if id_ in TECHNIQUES]
        tactics = {tactic for technique in techniques for tactic in technique.tactics}
        if folder in TACTICS and tactics and folder not in tactics:
            yield Spot(place, ("metadata", "name"), f"none of its techniques is of the tactic {folder}", f"move it to {' or '.join(sorted(tactics))}")


def without_runbook(library: Library) -> Iterator[Spot]:
    for rule in library.rules:
        if rule.rule.runbook is None and rule.policy.spec.runbook is None:
            urgent = rule.rule.severity in URGENT
            message = f"is {rule.rule.severity} and has no runbook" if urgent else "has no runbook"
            yield rule.spot((), message, "write what it means, what to check, how to tune")


def without_blind_spots(library: Library) -> Iterator[Spot]:
    for policy, place in library.policies:
        if not policy.spec.blind_spots and not all(rule.blind_spots for rule in policy.spec.rules):
            yield Spot(place, ("spec",), "does not say where it can't see", "add blindSpots: every rule has some")


def urgent_but_unsure(library: Library) -> Iterator[Spot]:
    for rule in library.rules:
        if rule.rule.severity in URGENT and rule.rule.confidence == "low":
            yield rule.spot(
                ("confidence",), f"is {rule.rule.severity} with low confidence: people will learn to ignore it", "lower the severity, or narrow the condition"
            )


def unused_lists(library: Library) -> Iterator[Spot]:
    read = {name for checked in library.checked.conditions.values() for one in checked for name in one.lists}
    for values, place in library.lists:
        if values.cel_name not in read:
            yield Spot(place, ("metadata", "name"), f"no rule and no exception reads lists.{values.cel_name}", "take it out, or name it in a condition")


def named_unlike_its_file(library: Library) -> Iterator[Spot]:
    for policy, place in library.policies:
        stem = place.file.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
        alone = sum(other.file == place.file for _, other in library.policies) == 1
        if stem and alone and stem != policy.name:
            yield Spot(place, ("metadata", "name"), f"is called {policy.name} in a file called {stem}", "give both one name: cases are found by the file's")


def bare_keys(library: Library) -> Iterator[Spot]:
    for policy, place in library.policies:
        if place.bare_keys:
            steps, _ = place.bare_keys[0]
            message = f"kubectl reads the key {steps[-1]} without quotes as a boolean, and the API server then refuses the policy {policy.name}"
            yield Spot(place, steps, message, f'write "{steps[-1]}": (in all {len(place.bare_keys)} places); kustomize does so by itself')
