"""Event: one thing that happened, as every rule sees it.

An event names its kind and its place in the input, and holds one object per root of the vocabulary (`audit`,
`cloudtrail`, `process`, …). What few rules ask for (the normalised actor, the time, the pod template of a request) is
computed on first use by the reader that made the event, and kept: an attribute that is not set yet is *filled*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchkeeper_detection.record_types import empty_root

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

SCHEMA_VERSION = 1


class Filled:
    """An attribute that is computed when first read, and then kept by the object itself."""

    def __init__(self, name: str, fill: Callable[[Any], Any]) -> None:
        self._name = name
        self._fill = fill

    def __get__(self, owner: Any, _type: type | None = None) -> Any:
        if owner is None:
            return self
        value = owner.__dict__[self._name] = self._fill(owner)
        return value


class Event:
    """One normalised event. Beside the attributes below, one attribute per root of the vocabulary.

    kind          one of `fields.KINDS`
    source        log type that it came from (`k8s-audit`, `cloudtrail`, …) or `kernel`
    stream        file, object key or host that the record came from
    number        1-based line or record number in the stream
    offset        byte offset of the record in the decompressed stream, -1 where a format has none
    fills         lazy attributes of this kind: name → function of the event
    id            (lazy) unique, made by us: source, stream and number; providers' ids repeat
    observed_at   (lazy) event time, nanoseconds since the epoch, UTC; 0 when the record has none
    """

    kind: str
    source: str
    stream: str
    number: int
    offset: int
    id: str
    observed_at: int

    def __init__(self, kind: str, source: str, stream: str, number: int, offset: int, fills: Mapping[str, Callable[[Event], Any]]) -> None:
        self.kind = kind
        self.source = source
        self.stream = stream
        self.number = number
        self.offset = offset
        self.fills = fills

    @classmethod
    def repeats(cls, _path: str) -> bool:
        """Whether a field's values are few enough that telling events apart by it too leaves many alike."""
        return False

    @classmethod
    def likeness(cls, _paths: Iterable[str]) -> Callable[[Any], Hashable | None] | None:
        """A function that gives the same key for events of this class that have the same values of these fields, without decoding them (`path?`: of which only
        being there counts); None: for that one there is none. None in place of the function where these fields can't be told so.
        """
        return None

    def __init_subclass__(cls) -> None:
        """Fills of a class are found without the detour through an AttributeError."""
        for name, fill in cls.__dict__.get("fills", {}).items():
            setattr(cls, name, Filled(name, fill))

    def __getattr__(self, name: str) -> Any:
        """Fill a lazy attribute; a root that this kind does not carry is an object whose every field is absent."""
        fill = self.fills.get(name)
        if fill is None:
            if name.startswith("__"):
                raise AttributeError(name)
            value = empty_root(name)
        else:
            value = fill(self)
        self.__dict__[name] = value
        return value
