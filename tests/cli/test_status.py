import io

import pytest

from watchkeeper_cli.output.condition import Condition, blind_words
from watchkeeper_cli.output.looks import Look, look_of
from watchkeeper_cli.output.status import Watch, bars, fitted, status_lines

PLAIN = Look(colours=False, moves=True)
QUIET = {
    "events": 12_345,
    "events_per_second": 1200.4,
    "rates": (0.0, 600.0, 1200.4),
    "lost": 0,
    "lost_per_second": 0.0,
    "lost_kinds": (),
    "detections": {"P2": 3, "P3": 12},
    "delay_ms": (4.0, 21.0),
    "resident_mib": 72.3,
    "containers": 4,
    "unnamed": 0,
    "blind_kinds": 0,
    "seconds": 3723.0,
}
WATCH = Watch(host="web-1", kernel="6.12.9", policies=126, rules=404, kinds=60)


def now(**other):
    return Condition(**(QUIET | other))


def test_the_status_tells_rates_memory_delay_detections_and_keys():
    assert status_lines(WATCH, now(), PLAIN, 120, 40) == [
        "── watchkeeper on web-1  (kernel 6.12.9) " + "─" * 78,
        "1,200 events/s  ▁▄█  0 lost/s  72 MiB  act to detection p99 21 ms  4 containers",
        "3 P2, 12 P3  404 rules of 126 policies, 60 kinds of events  up 1:02:03  times are UTC",
        "q quit  p pause  d details  b blind spots  Enter mark  ? help",
    ]


def test_what_was_lost_or_cannot_be_seen_is_called_blind_in_words():
    words = blind_words(now(lost=1204, lost_kinds=(("file.open", 1200), ("process.fork", 4)), blind_kinds=3, unnamed=1))
    assert words == (
        "BLIND: 1,204 records lost (file.open 1,200, process.fork 4); 3 kinds of events that this kernel does not let us see; "
        "1 container without name or image: no runtime's file describes it"
    )
    assert blind_words(now()) == ""
    assert any(line.startswith("BLIND: 5 records lost") for line in status_lines(WATCH, now(lost=5), PLAIN, 120, 40))


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
@pytest.mark.parametrize("height", [2, 5, 6, 12, 50])
@pytest.mark.parametrize("waiting", [None, 12])
def test_the_status_fits_any_terminal(width, height, waiting):
    watch = Watch(host="a-host-with-a-very-long-name.example", kernel="6.12.9-cloud-amd64", policies=126, rules=404, kinds=60, waiting=waiting, dropped=3)
    lines = status_lines(watch, now(lost=10**9, unnamed=2000), PLAIN, width, height)
    assert all(0 < len(line) < width for line in lines)
    assert len(lines) <= max(1, height - 1)


def test_loss_is_told_on_the_smallest_terminal_too():
    (line,) = status_lines(WATCH, now(lost=5, lost_kinds=(("file.open", 5),)), PLAIN, 60, 4)
    assert line.startswith("BLIND: 5 records lost")


def test_a_paused_screen_says_so():
    watch = Watch(host="web-1", kernel="6", policies=1, rules=1, kinds=1, waiting=1)
    assert status_lines(watch, now(), PLAIN, 120, 40)[-1] == "PAUSED: 1 detection waits  p goes on  q quits  the sensor goes on"


def test_what_matters_least_goes_first_where_there_is_no_room():
    parts = [("first", 5), ("least", 1), ("most", 9)]
    assert fitted(parts, 20) == "first  least  most"
    assert fitted(parts, 17) == "first  most"
    assert fitted(parts, 8) == "most"
    assert fitted([("a long text", 1)], 8) == "a lon..."


def test_bars_are_as_high_as_their_share_of_the_highest():
    assert bars((0.0, 50.0, 100.0), PLAIN) == "▁▄█"
    assert bars((0.0, 0.0), PLAIN) == "▁▁"


class Stream(io.StringIO):
    def __init__(self, *, terminal, encoding):
        super().__init__()
        self._terminal, self._encoding = terminal, encoding

    @property
    def encoding(self):
        return self._encoding

    def isatty(self):
        return self._terminal


@pytest.mark.parametrize(
    ("terminal", "encoding", "environment", "colours", "moves", "arrow"),
    {
        "a terminal in UTF-8 has colours and marks": (True, "utf-8", {"TERM": "xterm-256color"}, True, True, "→"),
        "NO_COLOR takes the colours alone": (True, "utf-8", {"TERM": "xterm", "NO_COLOR": "1"}, False, True, "→"),
        "an empty NO_COLOR is none": (True, "utf-8", {"TERM": "xterm", "NO_COLOR": ""}, True, True, "→"),
        "a dumb terminal has nothing": (True, "utf-8", {"TERM": "dumb"}, False, False, "->"),
        "no TERM is a dumb one": (True, "utf-8", {}, False, False, "->"),
        "the console's font has few marks": (True, "utf-8", {"TERM": "linux"}, True, True, "->"),
        "an output in another encoding has ASCII marks": (True, "iso8859-1", {"TERM": "xterm"}, True, True, "->"),
        "so has a user who asked for the C locale": (True, "utf-8", {"TERM": "xterm", "LC_ALL": "C"}, True, True, "->"),
        "a pipe has no colours": (False, "utf-8", {"TERM": "xterm"}, False, False, "→"),
    }.values(),
)
def test_looks_follow_the_terminal(terminal, encoding, environment, colours, moves, arrow):
    look = look_of(Stream(terminal=terminal, encoding=encoding), environment)
    assert (look.colours, look.moves, look.arrow) == (colours, moves, arrow)
    assert look.colours == (look.paint("x", "1") != "x")
