"""Which events are alike: told by bytes of their records and by a number for their process, before anything is decoded.

An index remembers what events of one likeness lead to. A likeness is exact: events of the same one have the same values of all the fields that the
index reads. Where that can't be said of a field (it comes late, or the time or /sys decides it), the index reads its events as it does any others.
"""

from __future__ import annotations

import itertools
import struct
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from watchkeeper_detection.fields import fields
from watchkeeper_detection.index import getter
from watchkeeper_detection.vocabulary import COMMON_ROOTS
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.process_view import AS_IT_IS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from watchkeeper_sensor.kernel.records import Layout

OF_PROCESS = frozenset({"process", "container", "pod", "node"})
NEVER = frozenset({"process.thread_id", "container.cgroup_id"})
"""Fields of those roots that two events of one image may have different values of."""
PRESENCE = "?"
"""Ends a path of which only being there counts."""
UNDER_HOST_MOUNT, MOUNTS = "file.under_host_mount", "container.mount_targets"
FLAGS, CALL, RESULT = 1, 9, 10  # where the header holds what the call was and how it ended
UNHASHABLE = (list, dict)
CLASSES = 1024  # of processes, numbered; past that they are numbered anew

Range = tuple[int, int | None]

NOBODY = bytes(4)  # no process, as a record's bytes


class Bytes(NamedTuple):
    """Which bytes of a kind's records its fields are made of.

    always   ranges that all fields together are made of, but for those in `only`
    only     field → ranges that it is made of besides
    by_call  fields that the call and its result decide too
    never    fields that something else decides too
    by_value whether its own fields are told by their values: for kinds of which an image has one event alone
    place    offset of a file's flags, device and process, where a record holds a path that may be the caller's word
    """

    always: tuple[Range, ...] = ()
    only: Mapping[str, tuple[Range, ...]] = {}
    by_call: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    by_value: bool = False
    place: int | None = None


def at(layout: Layout, first: str, last: str | None = None) -> Range:
    """Where the fields from `first` to `last` stand; to the record's end, texts and all, without `last`."""
    offsets = dict(zip(layout.fields, layout.offsets(), strict=True))
    return offsets[first], None if last is None else offsets[last] + struct.calcsize(layout.formats[layout.fields.index(last)])


def likeness_of(told: Bytes, paths: Iterable[str]) -> Callable[[Any], Hashable | None] | None:
    """A function that gives the likeness of an event of the kind, None for one that has none; None where these fields don't allow for one."""
    of_process: list[str] = []
    ranges = list(told.always)
    of_call = False
    for asked in paths:
        path = asked.removesuffix(PRESENCE)
        root = path.partition(".")[0]
        field = fields().get(path)
        if field is None or field.late or root in COMMON_ROOTS or path in told.never or path in NEVER:
            return None
        if root in OF_PROCESS or (told.by_value and root != "syscall"):
            of_process.append(asked)
        elif root == "syscall":
            of_call = True
        else:
            of_call = of_call or path in told.by_call
            ranges += told.only.get(path, ())
            if path == UNDER_HOST_MOUNT and MOUNTS not in of_process:
                of_process.append(MOUNTS)
    return _function(told.place, _merged(ranges), sorted(set(of_process)), of_call=of_call)


def _merged(ranges: Iterable[Range]) -> list[Range]:
    """Ranges in order, those that touch made one."""
    found: list[Range] = []
    for start, end in sorted(set(ranges), key=lambda one: (one[0], one[1] is None, one[1] or 0)):
        if found and (found[-1][1] is None or start <= found[-1][1]):
            last = found[-1]
            found[-1] = last[0], None if last[1] is None or end is None else max(last[1], end)
        else:
            found.append((start, end))
    return found


def _cut(ranges: list[Range]) -> Callable[[bytes], Hashable]:
    slices = [slice(*one) for one in ranges]
    if not slices:
        return lambda _record: b""
    if len(slices) == 1:
        only = slices[0]
        return lambda record: record[only]
    if len(slices) == 2:
        first, second = slices
        return lambda record: record[first] + record[second]
    return lambda record: b"".join([record[one] for one in slices])


def _function(place: int | None, ranges: list[Range], of_process: list[str], *, of_call: bool) -> Callable[[Any], Hashable | None]:
    cut, class_of = _cut(ranges), ProcessClass(of_process)
    process = slice((place or 0) + 8, (place or 0) + 12)

    def likeness(event: Any) -> Hashable | None:
        image, record = event.image, event.record
        held = image.alike.get(class_of) if image.alike else None
        if held is None or (image.container_id is not None and held[0] is not event.around.containers.of(image.container_id)):
            held = class_of.hold(event)
        key: tuple[Any, ...] = (cut(record), held[1])
        if place is not None and (record[place] & records.PATH_USER or record[process] != NOBODY):  # which process it is decides too
            key = (*key, image.id)
        return (*key, event.header[FLAGS], event.header[CALL], event.header[RESULT]) if of_call else key

    return likeness


class ProcessClass:
    """Numbers images by the values of some fields of theirs and of their containers."""

    def __init__(self, paths: list[str]) -> None:
        held = [AS_IT_IS.get(path.removeprefix("process.")) for path in paths]
        self._attributes = [attrgetter(name) for name in held if name is not None]
        self._readers = [_reader(path) for path, name in zip(paths, held, strict=True) if name is None]
        self._numbers: dict[Any, int] = {}
        self._following = itertools.count()

    def hold(self, event: Any) -> tuple[object, int]:
        """What the image keeps: what is known of its container, and its number."""
        image = event.image
        values = [*[read(image) for read in self._attributes], *[read(event) for read in self._readers]]
        key = tuple([_frozen(one) if one.__class__ in UNHASHABLE else one for one in values])
        number = self._numbers.get(key)
        if number is None:
            if len(self._numbers) >= CLASSES:
                self._numbers.clear()
            number = self._numbers[key] = next(self._following)
        held = event.around.containers.of(image.container_id), number
        if image.alike is None:
            image.alike = {}
        image.alike[self] = held
        return held


def _reader(path: str) -> Callable[[Any], Any]:
    if not path.endswith(PRESENCE):
        return getter(path)
    read = getter(path.removesuffix(PRESENCE))
    return lambda event: read(event) is not None


def _frozen(value: Any) -> tuple[Any, ...]:
    return tuple(value) if value.__class__ is list else tuple(value.items())
