"""A condition that is said not to be able to hold never does: tried on made-up conditions and events, and on what the engine makes of them."""

import random

import pytest
from tests.detection.cel.judging import LISTS, tree_of
from tests.support.events import an_event

from watchkeeper_detection.cel.check import Scope
from watchkeeper_detection.cel.compile import compile_condition
from watchkeeper_detection.cel.supposition import ABSENT, PRESENT, can_hold

FILES = Scope(kinds=("file.open",), lists=frozenset(LISTS))
HOST = {"container.": ABSENT, "pod.": ABSENT}
CONTAINER = {"container.id": PRESENT}
READ = {"file.for_write": False}

ATOMS = (
    "has(container.id)",
    'container.id == "c0ffee"',
    'container.id != ""',
    "container.drift",
    'container.name.startsWith("w")',
    'pod.namespace in ["default", "kube-system"]',
    "has(container.image)",
    "get(container.drift, true)",
    "file.for_write",
    "file.for_write == false",
    "file.for_write != container.drift",
    "has(file.for_write)",
    'file.path.startsWith("/etc/")',
    'file.name == "passwd"',
    "process.uid == 0",
    "true",
    "false",
)


def a_condition(chance, depth=3):
    way = chance.choice(("atom", "not", "and", "or", "choice")) if depth else "atom"
    inner = [f"({a_condition(chance, depth - 1)})" for _ in range({"atom": 0, "not": 1, "choice": 3}.get(way, 2))]
    if way == "atom":
        return chance.choice(ATOMS)
    if way == "not":
        return f"!{inner[0]}"
    return f"{inner[0]} ? {inner[1]} : {inner[2]}" if way == "choice" else {"and": " && ", "or": " || "}[way].join(inner)


def a_file_event(chance):
    """Fields and what is true of them."""
    fields = {
        "file.path": chance.choice(("/etc/passwd", "/tmp/x", None)),
        "file.name": chance.choice(("passwd", "x", None)),
        "process.uid": chance.choice((0, 1000, None)),
        "file.for_write": chance.choice((True, False)),
    }
    suppositions = [] if fields["file.for_write"] else [READ]
    if chance.random() < 0.5:
        fields |= {"container.id": "c0ffee", "container.drift": chance.choice((True, False, None)), "container.name": chance.choice(("web", "db", None))}
        fields["pod.namespace"] = chance.choice(("default", None))
        suppositions.append(CONTAINER)
    else:
        suppositions.append(HOST)
    return {path: value for path, value in fields.items() if value is not None}, suppositions


@pytest.mark.parametrize("seed", range(20))
def test_what_is_said_not_to_hold_never_does(seed):
    chance = random.Random(seed)
    held = 0
    for _ in range(60):
        tree = tree_of(a_condition(chance), FILES)
        judge = compile_condition(tree, LISTS)
        for _ in range(12):
            fields, suppositions = a_file_event(chance)
            if judge(an_event("file.open", **fields)):
                held += 1
                assert all(can_hold(tree, supposed) for supposed in suppositions), (tree, fields)
    assert held > 100


IMPOSSIBLE = {
    "has(container.id)": HOST,
    'container.id != ""': HOST,
    '!(container.id == "x")': HOST,
    'container.drift && file.path == "/x"': HOST,
    'pod.namespace == "default" || container.name.contains("x")': HOST,
    "!has(container.id)": CONTAINER,
    "file.for_write && process.uid == 0": READ,
    '!(!file.for_write || file.name == "x")': READ,
    "file.for_write == true": READ,
    "has(container.id) ? file.for_write : false": HOST | READ,
}


@pytest.mark.parametrize("text", IMPOSSIBLE)
def test_what_can_be_proved_is(text):
    assert not can_hold(tree_of(text, FILES), IMPOSSIBLE[text])
    assert can_hold(tree_of(text, FILES), {})
