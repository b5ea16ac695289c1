"""What the loaded policies ask the kernel for, as map data: kinds, and for file kinds the paths and names.

A filter lets through at least what a rule can hold for. Paths go into a trie of prefixes, names into a hash; both are swapped whole, so that
there is no moment without them.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watchkeeper_detection.cel.kernel_filter import kernel_filter
from watchkeeper_sensor.kernel.libbpf import BpfMap, BpfObject, new_map
from watchkeeper_sensor.kernel.records import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from watchkeeper_detection.cel.kernel_filter import FieldTest
    from watchkeeper_detection.cel.tree import Node
    from watchkeeper_detection.program import Program

BY_PATH = frozenset({"file.open", "file.create", "file.write"})
"""Kinds frequent enough to be told apart by path in the kernel."""

LPM_TRIE, HASH = 11, 1
NO_PREALLOC = 1
PATH_KEY_BYTES, NAME_KEY_BYTES = 252, 64
PATHS, NAMES = 16384, 4096  # room of the maps
SET_BYTES = 24
GENERATION_BYTES = 8

_zero = struct.pack("<I", 0)


@dataclass(slots=True)
class Filters:
    """Kinds that are wanted; of those in `by_path` only files under `prefixes` (an exact path ends in NUL) or of `names`."""

    kinds: set[str] = field(default_factory=set)
    by_path: set[str] = field(default_factory=set)
    prefixes: dict[bytes, set[str]] = field(default_factory=dict)
    names: dict[bytes, set[str]] = field(default_factory=dict)

    def install(self, bpf_object: BpfObject) -> None:
        """Fill new maps, then put them in the place of the old ones."""
        paths = new_map(LPM_TRIE, "paths", 4 + PATH_KEY_BYTES, SET_BYTES, PATHS, NO_PREALLOC)
        names = new_map(HASH, "names", NAME_KEY_BYTES, SET_BYTES, NAMES, NO_PREALLOC)
        try:
            for prefix, kinds in _with_shorter(self.prefixes).items():
                paths.put(struct.pack("<I", len(prefix) * 8) + prefix.ljust(PATH_KEY_BYTES, b"\0"), _kind_set(kinds))
            for name, kinds in self.names.items():
                names.put(name.ljust(NAME_KEY_BYTES, b"\0"), _kind_set(kinds))
            _put_fd(bpf_object.map("path_filter"), paths.fd)
            _put_fd(bpf_object.map("name_filter"), names.fd)
            bpf_object.map("settings").put(_zero, os.urandom(GENERATION_BYTES))  # after the maps: no print of an old answer is of the new filters
        finally:
            os.close(paths.fd)
            os.close(names.fd)


def _put_fd(outer: BpfMap, fd: int) -> None:
    outer.put(_zero, struct.pack("<I", fd))


def _kind_set(kinds: Iterable[str]) -> bytes:
    bits = 0
    for kind in kinds:
        bits |= 1 << NUMBERS[kind]
    return bits.to_bytes(SET_BYTES, "little")


def _with_shorter(prefixes: Mapping[bytes, set[str]]) -> dict[bytes, set[str]]:
    """The trie finds the longest prefix alone: it has to stand for the shorter ones too."""
    return {prefix: {kind for other, kinds in prefixes.items() if prefix.startswith(other) for kind in kinds} for prefix in prefixes}


def filters_of(program: Program) -> Filters:
    """What the rules of the program ask for."""
    found = Filters()
    for rule in program.rules:
        units = [(rule.when, rule.kinds)] if rule.sequence is None else [(step.when, step.kinds) for step in rule.sequence.steps]
        for when, kinds in units:
            for kind in kinds:
                if kind in NUMBERS:
                    found.kinds.add(kind)
                    if kind in BY_PATH:
                        _narrow(found, kind, when, program)
    found.by_path = found.kinds.intersection(BY_PATH) - {kind for kind in BY_PATH if kind in found.prefixes.get(b"", ())}
    return found


def _narrow(found: Filters, kind: str, when: Node | None, program: Program) -> None:
    alternatives = kernel_filter(when, program.lists).alternatives if when is not None else ((),)
    for tests in alternatives:
        test = _path_test(tests)
        if test is None:
            found.prefixes.setdefault(b"", set()).add(kind)
            return
        table = found.names if test.path == "file.name" else found.prefixes
        for value in test.values:
            table.setdefault(_key(test, str(value)), set()).add(kind)


def _path_test(tests: tuple[FieldTest, ...]) -> FieldTest | None:
    """The test that the kernel can make of these, of which all must hold."""
    able = [test for test in tests if not test.denied and (test.path == "file.path" or (test.path == "file.name" and test.op == "eq"))]
    return min(able, key=lambda test: (test.path != "file.path", -min(len(str(value)) for value in test.values) if test.values else 0), default=None)


def _key(test: FieldTest, value: str) -> bytes:
    """As the kernel spells it: cut to what a key holds, an exact path with its NUL."""
    spelled = os.fsencode(value)
    if test.path == "file.name":
        return spelled[: NAME_KEY_BYTES - 1]
    if test.op == "eq" and len(spelled) < PATH_KEY_BYTES:
        spelled += b"\0"
    return spelled[: PATH_KEY_BYTES - 1]
