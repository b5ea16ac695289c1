"""Literal arguments that can be judged before anything runs: patterns, networks, times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_detection.cel import network, patterns, times
from watchkeeper_detection.cel.tree import Call, Constant, ListOf
from watchkeeper_detection.cel.values import Failed

if TYPE_CHECKING:
    from watchkeeper_detection.cel.tree import Node


def literal_error(node: Call) -> str | None:
    """What is wrong with a literal argument of this call, None when nothing is."""
    try:
        _judge(node)
    except Failed as error:
        return str(error)
    return None


def _judge(node: Call) -> None:
    arguments = [argument.value if isinstance(argument, Constant) else None for argument in node.arguments]
    match node.function, arguments:
        case (("matches" | ".matches"), [_, str(pattern)]):
            patterns.matcher(pattern)
        case "glob", [_, str(pattern)]:
            patterns.glob_matcher(pattern)
        case "timestamp", [str(text)]:
            times.read_timestamp(text)
        case "duration", [str(text)]:
            times.read_duration(text)
        case "cidr", [str(text)]:
            network.read_cidr(text)
        case "ip", [str(text)]:
            network.read_ip(text)
        case "inCidr", [_, _]:
            for text in _literal_strings(node.arguments[1]):
                network.read_cidr(text)


def _literal_strings(node: Node) -> list[str]:
    each = node.elements if isinstance(node, ListOf) else (node,)
    return [part.value for part in each if isinstance(part, Constant) and isinstance(part.value, str)]
