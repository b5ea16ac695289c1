"""What the loaded policies ask the kernel for, as map data: kinds, where they happen, and for some kinds paths, names and ports.

A filter lets through at least what a rule can hold for. Paths go into a trie of prefixes, names and ports into hashes; each is swapped whole, so that
there is no moment without them.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watchkeeper_detection.cel.kernel_filter import kernel_filter
from watchkeeper_detection.cel.supposition import ABSENT, PRESENT, can_hold
from watchkeeper_sensor.kernel.libbpf import BpfMap, BpfObject, new_map
from watchkeeper_sensor.kernel.records import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from watchkeeper_detection.cel.kernel_filter import FieldTest
    from watchkeeper_detection.cel.tree import Node
    from watchkeeper_detection.program import Program, Rule

BY_PATH = frozenset({"file.open", "file.create", "file.write"})
"""Kinds frequent enough to be told apart by path in the kernel."""
NAMED = frozenset({"memory.map"})
"""Kinds of which the kernel tells what is odd by itself, and of ordinary files those that are named."""
ODD_FILES = {"file.memfd": True, "file.upper_layer": True, "file.unlinked": True}
BY_PORT = {"network.connect": "connection.remote_port", "network.send": "connection.remote_port", "network.listen": "connection.local_port"}
ONCE = frozenset({"file.open"})
"""Kinds of which the kernel knows repeats."""
SEEN_EACH = frozenset({"file.claimed_path"})
"""Fields that tell repeats apart."""
TREE_KINDS = ("process.", "credentials.", "isolation.", "sensor.", "container.")
"""Kinds that the process tree learns from, and those of the sensor: told wherever they happen."""

HOST_READ, HOST_WRITE, CONTAINER_READ, CONTAINER_WRITE, EACH = 1, 2, 4, 8, 16  # enum asked_way
HOST, CONTAINER = HOST_READ | HOST_WRITE, CONTAINER_READ | CONTAINER_WRITE
ALL_WAYS = HOST | CONTAINER
ON_HOST: Mapping[str, object] = {"container.": ABSENT, "pod.": ABSENT}
IN_CONTAINER: Mapping[str, object] = {"container.id": PRESENT}
WAYS: dict[int, Mapping[str, object]] = {
    HOST_READ: {**ON_HOST, "file.for_write": False},
    HOST_WRITE: {**ON_HOST, "file.for_write": True},
    CONTAINER_READ: {**IN_CONTAINER, "file.for_write": False},
    CONTAINER_WRITE: {**IN_CONTAINER, "file.for_write": True},
}

WANTED, WANTED_BY_PATH, WANTED_ON_HOST, WANTED_IN_CONTAINERS, WANTED_BY_PORT, WANTED_ONCE = 1, 2, 4, 8, 16, 32  # enum wanted_flag

LPM_TRIE, HASH = 11, 1
NO_PREALLOC = 1
PATH_KEY_BYTES, NAME_KEY_BYTES = 252, 64
PATHS, NAMES, PORTS = 16384, 4096, 4096  # room of the maps
PORTS_OF_ONE_KIND = 1024
SET_BYTES = 40
WAY_BYTES = 8
ESCAPE = "\\x"  # how events spell bytes that are no UTF-8

SETTINGS = struct.Struct("<QQQQ")  # struct settings

_zero = struct.pack("<I", 0)
Table = dict[bytes, dict[str, int]]


@dataclass(slots=True)
class Filters:
    """Kinds that are wanted.

    by_path   kinds of which only files under `prefixes` (an exact path ends in NUL) or of `names` are: each with the ways in which they are
    by_port   kinds of which only these ports are
    ways      of kinds that are not wanted everywhere: where
    once      kinds of which repeats may be counted in place of told
    """

    kinds: set[str] = field(default_factory=set)
    by_path: set[str] = field(default_factory=set)
    prefixes: Table = field(default_factory=dict)
    names: Table = field(default_factory=dict)
    by_port: dict[str, set[int]] = field(default_factory=dict)
    ways: dict[str, int] = field(default_factory=dict)
    once: set[str] = field(default_factory=set)

    @property
    def asks_where(self) -> bool:
        """Whether it matters if a container or the host did it."""
        tables = (self.ways, *self.prefixes.values(), *self.names.values())
        return any((ways & HOST) * 4 != ways & CONTAINER for table in tables for ways in table.values())

    def ask_all(self, kinds: Collection[str]) -> None:
        """Everything of these kinds, besides."""
        self.kinds.update(kinds)
        self.by_path.difference_update(kinds)
        self.once.difference_update(kinds)
        for kind in kinds:
            self.by_port.pop(kind, None)
            self.ways.pop(kind, None)

    def install(self, bpf_object: BpfObject, rate: tuple[int, int] = (0, 0)) -> None:
        """Fill new maps, then put them in the place of the old ones. `rate`: records a second, and at once (0: the programs' own)."""
        paths = new_map(LPM_TRIE, "paths", 4 + PATH_KEY_BYTES, SET_BYTES, PATHS, NO_PREALLOC)
        names = new_map(HASH, "names", NAME_KEY_BYTES, SET_BYTES, NAMES, NO_PREALLOC)
        ports = new_map(HASH, "ports", 4, 4, PORTS, NO_PREALLOC)
        try:
            for prefix, ways in _with_shorter(self.prefixes).items():
                paths.put(struct.pack("<I", len(prefix) * 8) + prefix.ljust(PATH_KEY_BYTES, b"\0"), _kind_set(ways))
            for name, ways in self.names.items():
                names.put(name.ljust(NAME_KEY_BYTES, b"\0"), _kind_set(ways))
            for kind, numbers in self.by_port.items():
                for number in numbers:
                    ports.put(struct.pack("<I", NUMBERS[kind] << 16 | number), _zero)
            for outer, inner in (("path_filter", paths), ("name_filter", names), ("port_filter", ports)):
                _put_fd(bpf_object.map(outer), inner.fd)
            # after the maps: no print of an old answer is of the new filters
            bpf_object.map("settings").put(_zero, SETTINGS.pack(int.from_bytes(os.urandom(8), "little"), self.asks_where, *rate))
        finally:
            for made in (paths, names, ports):
                os.close(made.fd)


def flags_of(kind: str, filters: Filters | None) -> int:
    """How a kind that is wanted is wanted (enum wanted_flag): without filters all of it."""
    if filters is None:
        return WANTED
    ways = filters.ways.get(kind, ALL_WAYS)
    where = (WANTED_ON_HOST if ways & HOST else 0) | (WANTED_IN_CONTAINERS if ways & CONTAINER else 0)
    how = (WANTED_BY_PATH if kind in filters.by_path else 0) | (WANTED_BY_PORT if kind in filters.by_port else 0) | (WANTED_ONCE if kind in filters.once else 0)
    return WANTED | where | how


def _put_fd(outer: BpfMap, fd: int) -> None:
    outer.put(_zero, struct.pack("<I", fd))


def _kind_set(asked: Mapping[str, int]) -> bytes:
    """A word of kinds for each way."""
    words = [sum(1 << NUMBERS[kind] for kind, ways in asked.items() if ways & way) for way in (*WAYS, EACH)]
    return b"".join(word.to_bytes(WAY_BYTES, "little") for word in words)


def _with_shorter(prefixes: Table) -> Table:
    """The trie finds the longest prefix alone: it has to stand for the shorter ones too."""
    found: Table = {}
    for prefix in prefixes:
        its = found[prefix] = {}
        for other, asked in prefixes.items():
            if prefix.startswith(other):
                for kind, ways in asked.items():
                    its[kind] = its.get(kind, 0) | ways
    return found


def filters_of(program: Program) -> Filters:
    """What the rules of the program ask for."""
    found = Filters()
    ways: dict[str, int] = {}
    ports: dict[str, set[int] | None] = {}  # None: any
    each: set[str] = set()
    for rule in program.rules:
        seen = EACH if _sees_each(rule) else 0
        units = [(rule.when, rule.kinds)] if rule.sequence is None else [(step.when, step.kinds) for step in rule.sequence.steps]
        for when, kinds in units:
            alternatives = kernel_filter(when, program.lists).alternatives if when is not None else ((),)
            possible = _ways(rule, when)
            for kind in kinds:
                if kind in NUMBERS:
                    found.kinds.add(kind)
                    ways[kind] = ways.get(kind, 0) | possible
                    _take_ports(ports, kind, alternatives)
                    if seen:
                        each.add(kind)
                    if kind in BY_PATH or kind in NAMED:
                        _take_paths(found, kind, possible | seen, alternatives)
    found.by_path = found.kinds.intersection(BY_PATH) - {kind for kind in BY_PATH if found.prefixes.get(b"", {}).get(kind, 0) & ALL_WAYS == ALL_WAYS}
    found.once = found.kinds & ONCE - (each - found.by_path)
    found.by_port = {kind: numbers for kind, numbers in ports.items() if numbers is not None and len(numbers) <= PORTS_OF_ONE_KIND}
    found.ways = {kind: its for kind, its in ways.items() if its != ALL_WAYS and not kind.startswith(TREE_KINDS)}
    return found


def _sees_each(rule: Rule) -> bool:
    """Whether a repeat may mean something to the rule: it counts, waits for an order, or reads what repeats may differ in."""
    return rule.threshold is not None or rule.sequence is not None or not SEEN_EACH.isdisjoint(rule.reads)


def _ways(rule: Rule, when: Node | None) -> int:
    """Ways in which the condition can hold at all: on the host or in a container, of a file that is only read or also written."""
    possible = sum(way for way, supposed in WAYS.items() if can_hold(when, supposed))
    return possible & CONTAINER if rule.include else possible


def _take_ports(ports: dict[str, set[int] | None], kind: str, alternatives: Iterable[tuple[FieldTest, ...]]) -> None:
    path, taken = BY_PORT.get(kind), ports.setdefault(kind, set())
    for tests in alternatives:
        test = next((test for test in tests if test.path == path and test.op == "eq" and not test.denied), None)
        if test is None or taken is None:
            ports[kind] = None
            return
        taken.update(int(value) for value in test.values)


def _take_paths(found: Filters, kind: str, possible: int, alternatives: Iterable[tuple[FieldTest, ...]]) -> None:
    for tests in alternatives:
        ways = possible & (_ways_of(tests) | EACH)
        if not ways & ALL_WAYS or (kind in NAMED and any(ODD_FILES.get(test.path) in test.values and not test.denied for test in tests)):
            continue
        test = _path_test(tests)
        if test is None:
            _ask(found.prefixes, b"", kind, ways)
            continue
        for value in test.values:
            _ask(found.names if test.path == "file.name" else found.prefixes, _key(test, str(value)), kind, ways)


def _ask(table: Table, key: bytes, kind: str, ways: int) -> None:
    asked = table.setdefault(key, {})
    asked[kind] = asked.get(kind, 0) | ways


def _ways_of(tests: tuple[FieldTest, ...]) -> int:
    """Ways in which these tests can all hold: one of a field that the event does not have fails."""
    ways = ALL_WAYS
    for test in tests:
        if test.path.startswith(("container.", "pod.")):
            ways &= CONTAINER
        elif test.path == "file.for_write" and test.op == "eq":
            wanted = {value is not test.denied for value in test.values}
            ways &= (HOST_WRITE | CONTAINER_WRITE if True in wanted else 0) | (HOST_READ | CONTAINER_READ if False in wanted else 0)
    return ways


def _path_test(tests: tuple[FieldTest, ...]) -> FieldTest | None:
    """The test that the kernel can make of these, of which all must hold."""
    able = [
        test for test in tests if not test.denied and (test.path == "file.path" or (test.path == "file.name" and test.op == "eq" and not _is_escaped(test)))
    ]
    return min(able, key=lambda test: (test.path != "file.path", -min(len(str(value)) for value in test.values) if test.values else 0), default=None)


def _is_escaped(test: FieldTest) -> bool:
    """Whether a value may stand for bytes that are no UTF-8."""
    return any(ESCAPE in str(value) for value in test.values)


def _key(test: FieldTest, value: str) -> bytes:
    """As the kernel spells it: cut to what a key holds, an exact path with its NUL, and before what may be bytes that events spell otherwise."""
    certain, escape, _ = value.partition(ESCAPE)
    spelled = certain.encode()
    if test.path == "file.name":
        return spelled[: NAME_KEY_BYTES - 1]
    if test.op == "eq" and not escape and len(spelled) < PATH_KEY_BYTES:
        spelled += b"\0"
    return spelled[: PATH_KEY_BYTES - 1]
