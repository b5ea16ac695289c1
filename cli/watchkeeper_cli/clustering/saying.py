"""What a person says of an incident: server-side apply of these fields of its spec alone, under a field manager of that person's own.

Others' words stay theirs: where somebody said otherwise nothing is written, unless that is asked for.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_cli.clustering.door import during
from watchkeeper_cli.clustering.finding_incident import find_incident
from watchkeeper_cli.clustering.incident_rows import WORDS
from watchkeeper_cli.ending import FAILED, CommandError
from watchkeeper_cli.output.text import shown
from watchkeeper_operator import kinds
from watchkeeper_operator.cluster_errors import Conflict
from watchkeeper_operator.names import FIELD_MANAGER
from watchkeeper_operator.shapes import Metadata

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from watchkeeper_cli.clustering.door import Door

MANAGER_CHARACTERS = 128  # of a field manager's name, by the API
TRIES = 4
FIELDS = ("disposition", "owner", "note", "closed")


class FieldsOf(msgspec.Struct, frozen=True, rename="camel"):
    """One entry of managedFields: which fields of the spec are whose."""

    manager: str = ""
    operation: str = ""
    subresource: str = ""
    fields_v1: dict[str, Any] = msgspec.field(default_factory=dict, name="fieldsV1")

    @property
    def said(self) -> frozenset[str]:
        return frozenset(name.removeprefix("f:") for name in self.fields_v1.get("f:spec", {}) if name.startswith("f:"))


class SaidMetadata(Metadata, frozen=True, rename="camel", kw_only=True):
    managed_fields: tuple[FieldsOf, ...] = ()


class Said(msgspec.Struct, frozen=True):
    """An incident as far as people speak."""

    metadata: SaidMetadata
    spec: dict[str, Any] = {}


def manager_of(user: str) -> str:
    """A field manager of the person's own: what one says never takes back what another said."""
    name = f"kubectl-watchkeeper/{''.join(letter for letter in user if letter.isprintable())}"
    if len(name) <= MANAGER_CHARACTERS:
        return name
    return f"{name[: MANAGER_CHARACTERS - 17]}-{hashlib.sha256(user.encode()).hexdigest()[:16]}"


def applied(before: Said, manager: str, words: Mapping[str, Any]) -> dict[str, Any]:
    """The spec to apply: what this person said before and still holds, with what they say now. What is left out of an apply would be taken back."""
    mine = {name for entry in before.metadata.managed_fields if entry.manager == manager and entry.operation == "Apply" for name in entry.said}
    kept = {name: before.spec[name] for name in FIELDS if name in mine and name in before.spec}
    return kept | {name: value for name, value in words.items() if value is not None}


def others(before: Said, manager: str, words: Mapping[str, Any]) -> dict[str, str]:
    """Fields that others said otherwise → who. What the operator put back after a loss, and what the schema fills in, nobody said."""
    return {
        name: entry.manager
        for entry in before.metadata.managed_fields
        if entry.manager not in (manager, FIELD_MANAGER) and not entry.subresource
        for name in entry.said
        if words.get(name) is not None and before.spec.get(name) not in (words[name], None, False)
    }


def say(kubeconfig: Path | None, context: str | None, namespace: str | None, name: str, words: dict[str, Any], *, force: bool, own_name: bool = False) -> None:
    """`own_name`: the owner is whoever asks."""

    async def act(door: Door) -> tuple[Said, dict[str, Any]]:
        user = await door.whoami()
        now = words | ({"owner": user} if own_name else {})
        for _ in range(TRIES - 1):
            with suppress(Conflict):  # the operator writes what it learns all the time
                return await _said(door, name, now, manager_of(user), force=force)
        return await _said(door, name, now, manager_of(user), force=force)

    before, spec = during(kubeconfig, context, namespace, act)
    print(confirmation(before, spec))


async def _said(door: Door, name: str, words: dict[str, Any], manager: str, *, force: bool) -> tuple[Said, dict[str, Any]]:
    """Raises Conflict when the incident changed since it was looked at."""
    before = await find_incident(door, name, Said)
    if (otherwise := others(before, manager, words)) and not force:
        raise CommandError(refusal(before, otherwise), FAILED)
    metadata = {"name": before.metadata.name, "namespace": before.metadata.namespace, "resourceVersion": before.metadata.resource_version}
    written = await door.cluster.by(manager).apply(kinds.INCIDENTS, {"metadata": metadata, "spec": applied(before, manager, words)})
    return before, written["spec"]


def refusal(before: Said, otherwise: Mapping[str, str]) -> str:
    words = ", ".join(f"{name} is {before.spec.get(name)!r}, said by {who}" for name, who in sorted(otherwise.items()))
    return f"nothing was written: {words}. Ask them, or say it all the same with --force"


def confirmation(before: Said, spec: Mapping[str, Any]) -> str:
    """What stands now, all of it: also what others said."""
    disposition = spec.get("disposition")
    parts = [WORDS.get(disposition, str(disposition)) if disposition else "nobody said what it was"]
    parts.append(f"owner {spec['owner']}" if spec.get("owner") else "nobody has it")
    parts.append("closed" if spec.get("closed") or disposition in ("FalsePositive", "Benign") else "open")
    return shown(f"{before.metadata.namespace}/{before.metadata.name}: {', '.join(parts)}")
