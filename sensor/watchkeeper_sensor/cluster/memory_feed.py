"""What the cluster knows of this node's pods, as the collector told it last: the seam of late/feed.py without a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_sensor.late.feed import VERSION, NodeFacts, PodFacts, Told

if TYPE_CHECKING:
    from collections.abc import Mapping


class MemoryFeed:
    """Told and asked by the agent's thread."""

    is_there = True  # the collector will tell, if it has not yet

    def __init__(self) -> None:
        self.version = 0
        self._told: Told | None = None

    def tell(self, document: Mapping[str, Any]) -> str:
        """Take up a document (feed.json's); why not, where it is none: then what was known stays."""
        try:
            told = msgspec.convert(document, Told)
        except msgspec.ValidationError as error:
            return str(error)
        if told.version != VERSION:
            return f"version {told.version}; this is version {VERSION}"
        if told != self._told:
            self._told = told
            self.version += 1
        return ""

    def look(self) -> None:
        """Nothing: it is told."""

    def pod(self, uid: str) -> PodFacts | None:
        return self._told.pods.get(uid) if self._told else None

    def node(self) -> NodeFacts | None:
        return msgspec.structs.replace(self._told.node, cluster=self._told.cluster) if self._told else None
