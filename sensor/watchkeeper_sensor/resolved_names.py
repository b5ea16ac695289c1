"""Names that processes asked name servers for, by the addresses that they got: what `connection.remote_name` is told from."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

NAMES = 16_384  # pairs of asker and address
SHORTEST_SECONDS = 300  # a name is held for longer than its server says: programs go on using what they resolved once
LONGEST_SECONDS = 86_400
TIME, PROCESS = 4, 7  # where the header of a record holds them


class ResolvedNames:
    """By process, and by container or host: a library's or resolver's helper may ask for others. The pair unused for longest goes first."""

    def __init__(self, most: int = NAMES) -> None:
        self._most = most
        self._names: OrderedDict[tuple[object, str], tuple[str, int]] = OrderedDict()  # (asker, address) → name, and until when (nanoseconds since boot)

    def __len__(self) -> int:
        return len(self._names)

    def take(self, event: Any) -> None:
        """Learn from a `dns.answer`."""
        dns, header = event.dns, event.header
        if not dns.question or not dns.addresses:
            return
        seconds = min(max(dns.time_to_live or 0, SHORTEST_SECONDS), LONGEST_SECONDS)
        until = header[TIME] + seconds * 1_000_000_000
        for address in dns.addresses:
            for asker in (header[PROCESS], event.image.container_id):
                self._names[asker, address] = (dns.question, until)
                self._names.move_to_end((asker, address))
        while len(self._names) > self._most:
            self._names.popitem(last=False)

    def name_of(self, event: Any, address: str) -> str | None:
        """Name by which the event's process, or else another one of its container or host, last resolved the address."""
        for asker in (event.header[PROCESS], event.image.container_id):
            found = self._names.get((asker, address))
            if found is not None and found[1] >= event.header[TIME]:
                return found[0]
        return None
