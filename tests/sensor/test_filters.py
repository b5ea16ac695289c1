"""Filters let through whatever a rule can hold for: tried on made-up conditions and events, with the kernel's decision done over in Python."""

import os
import random

import pytest
from tests.support.events import a_policy, a_program, an_event

from watchkeeper_detection.cel.compile import compile_condition
from watchkeeper_sensor.kernel.filters import ALL_WAYS, CONTAINER, CONTAINER_WRITE, EACH, HOST, HOST_READ, HOST_WRITE, PATH_KEY_BYTES, filters_of

FILE_ATOMS = (
    'file.path == "/etc/passwd"',
    'file.path.startsWith("/etc/")',
    'file.path in ["/tmp/x", "/etc/shadow"]',
    'file.name == "shadow"',
    'file.name in ["x", "passwd"]',
    'file.path.endsWith("d")',
    "file.for_write",
    "has(container.id)",
    "container.drift",
    'pod.namespace == "default"',
    "process.uid == 0",
    "true",
)
PORT_ATOMS = (
    "connection.remote_port == 22",
    "connection.remote_port in [80, 443]",
    "connection.remote_port != 53",
    'connection.protocol == "tcp"',
    "has(container.id)",
    "container.drift",
    "process.uid == 0",
)


def a_condition(chance, atoms, depth=3):
    way = chance.choice(("atom", "not", "and", "or")) if depth else "atom"
    if way == "atom":
        return chance.choice(atoms)
    inner = [f"({a_condition(chance, atoms, depth - 1)})" for _ in range(1 if way == "not" else 2)]
    return f"!{inner[0]}" if way == "not" else {"and": " && ", "or": " || "}[way].join(inner)


def a_program_of(kind, condition):
    return a_program(a_policy(f"\n- name: r\n  \"on\": [{kind}]\n  when: '{condition}'\n  severity: P3\n"))


def where(chance):
    """Fields of the workload."""
    if chance.random() < 0.5:
        return {"process.uid": chance.choice((0, 1000))}
    return {"process.uid": 0, "container.id": "c0ffee", "container.drift": chance.choice((True, False)), "pod.namespace": chance.choice(("default", "other"))}


def tells_file(filters, kind, fields):
    """What file_filter.bpf.h decides."""
    in_container, for_write = "container.id" in fields, fields["file.for_write"]
    way = 1 << (2 * in_container + for_write)
    if kind not in filters.kinds or not filters.ways.get(kind, ALL_WAYS) & (CONTAINER if in_container else HOST):
        return False
    path = os.fsencode(fields["file.path"])
    key = (path + b"\0")[: PATH_KEY_BYTES - 1]
    ways = filters.names.get(os.fsencode(fields["file.name"]), {}).get(kind, 0)
    for prefix, asked in filters.prefixes.items():
        ways |= asked.get(kind, 0) if key.startswith(prefix) else 0
    return kind not in filters.by_path or bool(ways & way)


@pytest.mark.parametrize("kind", ["file.open", "file.create", "file.write"])
def test_a_file_that_a_rule_holds_for_is_told(kind):
    chance = random.Random(7)
    held = turned_down = 0
    for _ in range(150):
        program = a_program_of(kind, a_condition(chance, FILE_ATOMS))
        filters, judge = filters_of(program), compile_condition(program.rules[0].when, program.lists)
        for _ in range(15):
            path = chance.choice(("/etc/passwd", "/etc/shadow", "/tmp/x", "/tmp/shadow", "/" + "long/" * 60 + "x"))
            fields = {"file.path": path, "file.name": path.rpartition("/")[2], "file.for_write": chance.choice((True, False)), **where(chance)}
            told = tells_file(filters, kind, fields)
            turned_down += not told
            if judge(an_event(kind, **fields)):
                held += 1
                assert told, (program.rules[0].when, fields)
    assert held > 100
    assert turned_down > 100


def test_a_connection_that_a_rule_holds_for_is_told():
    chance = random.Random(11)
    held = turned_down = 0
    for _ in range(300):
        program = a_program_of("network.connect", a_condition(chance, PORT_ATOMS))
        filters, judge = filters_of(program), compile_condition(program.rules[0].when, program.lists)
        for _ in range(10):
            fields = {"connection.remote_port": chance.choice((22, 53, 80, 9999)), "connection.protocol": chance.choice(("tcp", "udp")), **where(chance)}
            ports = filters.by_port.get("network.connect")
            told = bool(filters.ways.get("network.connect", ALL_WAYS) & (CONTAINER if "container.id" in fields else HOST))
            told = told and (ports is None or fields["connection.remote_port"] in ports)
            turned_down += not told
            if judge(an_event("network.connect", **fields)):
                held += 1
                assert told, (program.rules[0].when, fields)
    assert held > 100
    assert turned_down > 100


WAYS = {
    'file.path == "/a"': {b"/a\0": ALL_WAYS},
    'file.path.startsWith("/a/") && has(container.id)': {b"/a/": CONTAINER},
    'file.path == "/a" && !has(container.id)': {b"/a\0": HOST},
    'file.path == "/a" && file.for_write': {b"/a\0": HOST_WRITE | CONTAINER_WRITE},
    'file.path == "/a" && !file.for_write && !has(container.id)': {b"/a\0": HOST_READ},
    '(file.path == "/a" && container.drift) || (file.path == "/b" && file.for_write)': {b"/a\0": CONTAINER, b"/b\0": HOST_WRITE | CONTAINER_WRITE},
    'file.path == "/a\\\\xffb"': {b"/a": ALL_WAYS},
}


@pytest.mark.parametrize("condition", WAYS)
def test_a_path_is_asked_for_where_its_rule_can_hold(condition):
    found = filters_of(a_program_of("file.open", condition))
    assert {prefix: asked["file.open"] for prefix, asked in found.prefixes.items()} == WAYS[condition]


def test_a_policy_of_some_namespaces_asks_for_containers_alone():
    rule = '\n- name: r\n  "on": [file.mkdir]\n  when: \'file.name == "x"\'\n  severity: P3\n'
    program = a_program(a_policy(rule, spec="scope: {namespaces: {include: [team-*]}}\n"))
    assert filters_of(program).ways == {"file.mkdir": CONTAINER}


def test_what_the_process_tree_learns_from_is_told_everywhere():
    assert filters_of(a_program_of("credentials.change", "has(container.id)")).ways == {}


def test_a_library_that_a_rule_on_mapped_files_names_is_asked_for_and_an_odd_file_needs_no_name():
    named = filters_of(a_program_of("memory.map", 'file.name == "libc.so.6" || file.path.startsWith("/opt/") || file.memfd'))
    assert named.names == {b"libc.so.6": {"memory.map": ALL_WAYS}}
    assert named.prefixes == {b"/opt/": {"memory.map": ALL_WAYS}}
    assert filters_of(a_program_of("memory.map", 'file.upper_layer && file.name.matches("[.]so")')).prefixes == {}
    assert filters_of(a_program_of("memory.map", 'file.name.matches("[.]so")')).prefixes == {b"": {"memory.map": ALL_WAYS}}


OPENED = '\n- name: r\n  "on": [file.open]\n  when: \'file.path == "/a"\'\n  severity: P3\n'
COUNTED = OPENED + "  threshold: {count: 3, within: 1m, by: [process.id]}\n"
CLAIMED = '\n- name: r\n  "on": [file.open]\n  when: \'file.path == "/a" && file.claimed_path != "/a"\'\n  severity: P3\n'


def test_repeats_are_counted_in_the_kernel_unless_a_rule_has_to_see_each():
    assert filters_of(a_program(a_policy(OPENED))).once == {"file.open"}
    every = a_policy('\n- name: r\n  "on": [file.open]\n  when: file.claimed_path != file.path\n  severity: P3\n')
    other = a_policy(OPENED.replace("/a", "/b"), name="other")
    for text in (COUNTED, CLAIMED):
        found = filters_of(a_program(a_policy(text), other))
        assert found.once == {"file.open"}
        assert (found.prefixes[b"/a\0"], found.prefixes[b"/b\0"]) == ({"file.open": ALL_WAYS | EACH}, {"file.open": ALL_WAYS})
    assert filters_of(a_program(every)).once == set()


def test_a_kind_that_someone_watches_is_told_whole():
    filters = filters_of(a_program(a_policy(OPENED)))
    filters.ask_all({"file.open"})
    assert (filters.once, filters.by_path) == (set(), set())
