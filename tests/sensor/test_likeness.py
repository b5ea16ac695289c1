"""Likeness: events told alike by their bytes have the same values of the fields that were asked for."""

import itertools
import struct
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from watchkeeper_detection.fields import fields, kinds
from watchkeeper_detection.index import getter
from watchkeeper_sensor.decoding import EVENTS, LAYOUTS
from watchkeeper_sensor.decoding.descriptor import DESCRIPTOR
from watchkeeper_sensor.decoding.file import FILE, FILE_CHANGE
from watchkeeper_sensor.decoding.kernel_event import KernelEvent
from watchkeeper_sensor.decoding.likeness import OF_PROCESS, likeness_of
from watchkeeper_sensor.decoding.memory import MEMORY
from watchkeeper_sensor.decoding.network import CONNECTION
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.records import HEADER, HEADER_FIELDS, NUMBERS
from watchkeeper_sensor.process import Image
from watchkeeper_sensor.surroundings import Surroundings

OF_FAMILY = {"network": CONNECTION, "descriptor": DESCRIPTOR, "memory": MEMORY}
OPENED = ("file.open", "file.open_by_handle", "file.create", "file.write")
TOLD = [event for event in EVENTS.values() if event.told is not None and not event.told.by_value]
TEXTS = (b"", b"/etc/shadow", b"/proc/7/root/etc", b"dockerd", b"../x")
ENUMS = {"area": 3, "file_type": 8, "written_by": 7}
VALUES = (0, 1, 2, 3, 7, 8, 17, 255, 2**16 - 1)


@cache
def around():
    return Surroundings("node")


def layout_of(kind):
    if kind.startswith("file."):
        return FILE if kind in OPENED else FILE_CHANGE
    return OF_FAMILY[kind.partition(".")[0]]


def an_image(process_id=7, **attributes):
    image = Image(f"boot:{process_id}:1", process_id, 1)
    for name, value in {"exe": "/bin/x", "container_process_id": process_id, **attributes}.items():
        setattr(image, name, value)
    return image


def an_event(kind, values, texts, image, **header):
    """An event of a record with these numbers in its fields, and these texts in the places that hold texts."""
    layout = layout_of(kind)
    told = dict.fromkeys(HEADER_FIELDS, 0) | {"kind": NUMBERS[kind], "process": image.process_id, "thread": image.process_id} | header
    body, end = [], layout.size
    pieces = itertools.cycle(texts)
    for name, letter, value in zip(layout.fields[len(records.RECORD.fields) :], layout.formats[len(records.RECORD.fields) :], values, strict=False):
        if name in TEXT_FIELDS:
            piece = next(pieces)
            body.append(len(piece) << 16 | end)
            end += len(piece)
        else:
            body.append(bytes([value % 256]) * 16 if letter == "16s" else value % ENUMS.get(name, 2**16))
    whole = HEADER.pack(*told.values()) + bytes(4) + struct.pack("<" + "".join(layout.formats[len(records.RECORD.fields) :]), *body)
    event = KernelEvent.new(EVENTS[NUMBERS[kind]])
    event.record = whole + b"".join(itertools.islice(itertools.cycle(texts), sum(name in TEXT_FIELDS for name in layout.fields)))
    event.header, event.around, event.image, event.number = HEADER.unpack_from(whole), around(), image, 1
    return event


TEXT_FIELDS = frozenset(
    name
    for name in itertools.chain.from_iterable(layout.fields for layout in LAYOUTS)
    if name.endswith(("path", "claimed", "directory", "abstract", "bound", "listener", "head", "exe", "name"))
    and not name.startswith(("record_", "open_file_"))
)


@cache
def readers_of(kind):
    """Path, likeness by it alone, and reader of each field that the kind itself has."""
    roots = {*kinds()[kind].roots} - OF_PROCESS
    told = EVENTS[NUMBERS[kind]].told
    found = [(path, likeness_of(told, [path]), getter(path)) for path, field in fields().items() if field.root in roots]
    return [one for one in found if one[1] is not None]


@pytest.mark.parametrize("event", TOLD, ids=lambda event: event.kind)
@given(data=some.data())
@settings(max_examples=40, deadline=None)
def test_alike_means_the_same_value_of_every_field(event, data):
    layout = layout_of(event.kind)
    count = len(layout.fields) - len(records.RECORD.fields)
    values = data.draw(some.lists(some.sampled_from(VALUES), min_size=count, max_size=count))
    texts = data.draw(some.lists(some.sampled_from(TEXTS), min_size=3, max_size=3))
    changed = list(values)
    for place in data.draw(some.sets(some.integers(0, count - 1), max_size=3)):
        changed[place] = data.draw(some.sampled_from(VALUES))
    image = an_image()
    first = an_event(event.kind, values, texts, image, result=data.draw(some.sampled_from((0, -1, -13))))
    second = an_event(event.kind, changed, texts, image, result=data.draw(some.sampled_from((0, -1, -13))), time=5, id=9)
    for path, likeness, read in readers_of(event.kind):
        if likeness(first) == likeness(second):
            assert read(first) == read(second), path


def test_time_id_and_what_is_not_read_do_not_part_events():
    image = an_image()
    likeness = likeness_of(EVENTS[NUMBERS["file.open"]].told, ["file.path", "process.exe"])
    layout = layout_of("file.open")
    names = layout.fields[len(records.RECORD.fields) :]
    first = an_event("file.open", [1 if name == "file_identity_inode" else 0 for name in names], [b"/etc/shadow"], image)
    second = an_event("file.open", [2 if name == "file_identity_inode" else 0 for name in names], [b"/etc/shadow"], image, time=77, id=4)
    assert likeness(first) == likeness(second)
    assert likeness(first) != likeness(an_event("file.open", [0] * len(names), [b"/etc/passwd"], image))


def test_processes_are_alike_by_the_values_that_are_read():
    likeness = likeness_of(EVENTS[NUMBERS["file.open"]].told, ["file.path", "process.exe"])
    count = len(layout_of("file.open").fields) - len(records.RECORD.fields)

    def of(image):
        return likeness(an_event("file.open", [0] * count, [b"/etc/shadow"], image))

    assert of(an_image(7)) == of(an_image(8))
    assert of(an_image(7)) != of(an_image(7, exe="/bin/y"))


def test_a_path_in_the_words_of_the_process_is_the_processs_own():
    names = layout_of("file.open").fields[len(records.RECORD.fields) :]
    values = [records.PATH_USER if name == "file_identity_flags" else 0 for name in names]
    likeness = likeness_of(EVENTS[NUMBERS["file.open"]].told, ["file.path"])
    of = [likeness(an_event("file.open", values, [b"/proc/7/root/etc"], an_image(number))) for number in (7, 8)]
    assert of[0] != of[1]


@pytest.mark.parametrize("path", ["process.thread_id", "process.exe_hash", "container.cgroup_id", "identity.id", "file.new_modified_at", "pod.labels"])
def test_what_bytes_cannot_tell_gives_no_likeness(path):
    assert likeness_of(EVENTS[NUMBERS["file.open"]].told, ["file.path", path]) is None
