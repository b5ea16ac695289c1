"""The name behind a connection's address: known at once where it was asked for, and then only looked up for rules that read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable

    from watchkeeper_sensor.resolved_names import ResolvedNames

REMOTE_NAME = "connection.remote_name"


class NameSource:
    """Never waits: an answer comes before the connection that it was asked for."""

    paths = frozenset({REMOTE_NAME})

    def __init__(self, names: ResolvedNames) -> None:
        self._names = names

    def awaits(self, event: Any, path: str) -> Hashable | None:
        """Nothing."""

    def settled(self) -> Iterable[Hashable]:
        return ()

    def fill(self, event: Any, paths: Collection[str]) -> None:  # noqa: ARG002 (the one that it has)
        address = event.connection.remote_ip
        name = self._names.name_of(event, address) if address is not None else None
        if name is not None:
            event.connection.remote_name = name

    def close(self) -> None:
        """Nothing is held open."""
