"""Records → events: what two records of one act become."""

from watchkeeper_sensor.events import EventStream
from watchkeeper_sensor.kernel.records import EXIT, HEADER, NUMBERS
from watchkeeper_sensor.surroundings import Surroundings

GONE_PROCESS = 4_000_000  # above the most that a kernel gives


def an_exit(number, *, start=10**9, thread=GONE_PROCESS):
    record = HEADER.pack(NUMBERS["process.exit"], 0, EXIT.size, number, 10**9 + number, 0, start, GONE_PROCESS, thread, -1, 0, 0).ljust(EXIT.size, b"\0")
    return HEADER.unpack_from(record), record


def test_the_end_of_a_process_is_told_once():
    stream = EventStream(Surroundings())
    first, second = (stream.event(*an_exit(number, thread=GONE_PROCESS + number)) for number in (1, 2))
    assert first is not None
    assert second is None


def test_the_end_of_the_next_process_with_the_same_id_is_told():
    stream = EventStream(Surroundings())
    ends = [stream.event(*an_exit(number, start=number * 10**9)) for number in (1, 2)]
    assert all(ends)
    assert ends[0].process.id != ends[1].process.id
