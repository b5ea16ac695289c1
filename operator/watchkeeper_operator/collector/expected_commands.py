"""Commands by which a kubelet itself enters a pod's containers: exec probes and lifecycle hooks. No exec in the audit log stands behind them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SEPARATOR = "\x1f"
COMMANDS = 32  # of one pod
CHARACTERS = 2048  # of one command; a longer one is not expected, and told when it runs
REFERENCE = re.compile(r"\$(\$|\(([-._a-zA-Z][-._a-zA-Z0-9]*)\))")


class Command(msgspec.Struct, frozen=True):
    command: tuple[str, ...] | None = None


class Handler(msgspec.Struct, frozen=True):
    exec: Command | None = None


class Lifecycle(msgspec.Struct, frozen=True, rename="camel"):
    post_start: Handler | None = None
    pre_stop: Handler | None = None


class Variable(msgspec.Struct, frozen=True):
    name: str
    value: str | None = None


class Container(msgspec.Struct, frozen=True, rename="camel"):
    """As far as it says what a kubelet runs in it."""

    env: tuple[Variable, ...] | None = None
    liveness_probe: Handler | None = None
    readiness_probe: Handler | None = None
    startup_probe: Handler | None = None
    lifecycle: Lifecycle | None = None


def expected(containers: Iterable[Container]) -> tuple[str, ...]:
    """Each command's words joined by SEPARATOR, as the field `pod.expected_commands` has them."""
    found = {SEPARATOR.join(words) for container in containers for words in _commands(container)}
    return tuple(sorted(command for command in found if len(command) <= CHARACTERS)[:COMMANDS])


def _commands(container: Container) -> Iterator[tuple[str, ...]]:
    variables = {one.name: one.value for one in container.env or () if one.value is not None}
    for probe in (container.liveness_probe, container.readiness_probe, container.startup_probe):
        if probe and probe.exec and probe.exec.command:
            yield tuple(expanded(word, variables) for word in probe.exec.command)
    hooks = (container.lifecycle.post_start, container.lifecycle.pre_stop) if container.lifecycle else ()
    for hook in hooks:
        if hook and hook.exec and hook.exec.command:
            yield hook.exec.command


def expanded(word: str, variables: Mapping[str, str]) -> str:
    """As a kubelet expands a probe's words: `$(NAME)` of a variable whose value stands in the container's spec, `$$` for a dollar."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] == "$" else variables.get(match[2], match[0])

    return REFERENCE.sub(value, word)
