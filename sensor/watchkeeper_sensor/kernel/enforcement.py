"""Rules that kill, as the kernel decides them: tests over facts of an exec that nobody can choose.

A rule is enforced only where the kernel can decide all of it: its condition and every `unless` and exception, over the fields of FIELDS, for all
workloads. What can't be is named, with the reason; the rule then only says what it would have done.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from watchkeeper_detection.cel.kernel_filter import kernel_filter
from watchkeeper_detection.cel.tree import And, Node, Not

if TYPE_CHECKING:
    from watchkeeper_detection.cel.kernel_filter import FieldTest
    from watchkeeper_detection.program import Program, Rule
    from watchkeeper_sensor.kernel.libbpf import BpfObject

TESTS = 128  # of all rules together, as records_enforcement.h says
NUMBER, TEXT = 1, 2
TEXT_BYTES = 248  # of a path in a key
KIND = "process.exec"
PATH = "process.exe"
SCOPE_HOST, SCOPE_CONTAINER = 1, 2

FIELDS = {
    "process.exe_upper_layer": 0,
    "process.exe_memfd": 1,
    "process.exe_unlinked": 2,
    "process.exe_setuid": 3,
    "process.exe_setgid": 4,
    "process.exe_owner_uid": 5,
    "process.exe_inode": 6,
    "process.uid": 7,
    "process.euid": 8,
    "process.suid": 9,
    "process.fsuid": 10,
    "process.gid": 11,
    "process.egid": 12,
    "process.sgid": 13,
    "process.args_count": 14,
    "process.container_process_id": 15,
    "process.no_new_privileges": 16,
    "exec.empty_args": 17,
    "container.drift": 18,
    "process.stdin.type": 19,
    "process.stdout.type": 20,
    "process.stderr.type": 21,
}
"""Field → its number among the kernel's facts (enum kill_field)."""

DESCRIPTORS = {"closed": (0,), "tty": (1,), "pipe": (2,), "socket": (3, 7), "file": (4,), "null": (5,), "other": (6,)}

PROTECTED = (
    *("/usr/bin/kubelet", "/usr/local/bin/kubelet", "/usr/bin/containerd", "/usr/local/bin/containerd", "/usr/bin/containerd-shim-runc-v2"),
    *("/usr/local/bin/containerd-shim-runc-v2", "/usr/bin/dockerd", "/usr/local/bin/dockerd", "/usr/bin/runc", "/usr/sbin/runc", "/usr/local/sbin/runc"),
    *("/usr/local/bin/runc", "/usr/bin/crun", "/usr/bin/crio", "/usr/local/bin/crio", "/usr/bin/conmon", "/usr/bin/podman", "/usr/libexec/crio/conmon"),
    *("/usr/lib/systemd/systemd", "/sbin/init", "/usr/bin/dbus-daemon", "/usr/bin/k3s", "/usr/local/bin/k3s", "/usr/bin/docker-init"),
)
"""Programs without which a node is lost; they are known by their file, so a copy of another name is not protected and another file of the name isn't either."""

GAPS = {1: "unknown cgroup", 2: "protected process", 3: "path too long", 4: "the kernel refused the signal"}

_test = struct.Struct("<IIHBBB3x")
_number = struct.Struct("<IIQ")


@dataclass(slots=True)
class Test:
    """One test of the kernel: which fact, against which values."""

    field: int
    op: int
    denied: bool
    numbers: tuple[int, ...] = ()
    texts: tuple[bytes, ...] = ()


@dataclass(slots=True)
class Enforcement:
    """Rules that kill and what each is made of; `refused` says why a rule only says what it would have done."""

    rules: list[Rule] = field(default_factory=list)
    alternatives: list[tuple[int, list[Test]]] = field(default_factory=list)  # (number of the rule, tests)
    refused: dict[str, str] = field(default_factory=dict)

    def install(self, bpf_object: BpfObject, first_id: int) -> int:
        """Write the tests into the kernel's maps; `first_id` and what is returned keep their ids apart from those of before."""
        tests, numbers, texts = bpf_object.map("kill_tests"), bpf_object.map("kill_numbers"), bpf_object.map("kill_texts")
        one = struct.pack("<I", 1)
        stale = [(table, list(table.keys())) for table in (numbers, texts)]
        rows: list[bytes] = []
        for rule, alternative in self.alternatives:
            for place, test in enumerate(alternative, 1):
                for number in test.numbers:
                    numbers.put(_number.pack(first_id, 0, number & 2**64 - 1), one)
                for text in test.texts:
                    texts.put(struct.pack("<II", (4 + len(text)) * 8, first_id) + text.ljust(TEXT_BYTES, b"\0"), one)
                rows.append(_test.pack(rule, first_id, test.field, test.op, test.denied, place == len(alternative)))
                first_id += 1
        none = _test.pack(0, 0, 0, 0, 0, 0)
        tests.put(struct.pack("<I", 0), none)  # nothing is enforced while the table is written: better than half of a rule
        for place in range(1, TESTS):
            tests.put(struct.pack("<I", place), rows[place] if place < len(rows) else none)
        tests.put(struct.pack("<I", 0), rows[0] if rows else none)
        for table, keys in stale:
            for key in keys:
                table.remove(key)
        return first_id


def enforcement_of(program: Program) -> Enforcement:
    """What of the program's rules the kernel is to enforce."""
    found = Enforcement()
    count = 0
    for rule in program.rules:
        if not rule.enforces:
            continue
        reason, alternatives = _of_rule(rule, program)
        if not reason and count + sum(map(len, alternatives)) > TESTS:
            reason = f"the kernel holds {TESTS} tests, and those of other rules fill them"
        if reason:
            found.refused[rule.name] = reason
            continue
        count += sum(map(len, alternatives))
        found.alternatives += [(len(found.rules), tests) for tests in alternatives]
        found.rules.append(rule)
    return found


def _of_rule(rule: Rule, program: Program) -> tuple[str, list[list[Test]]]:
    """Why the kernel can't enforce the rule, or what it tests."""
    if rule.kinds != (KIND,):
        return f"the kernel kills at {KIND} only, and the rule is on {', '.join(rule.kinds)}", []
    if rule.include or rule.exclude:
        return "the policy covers some namespaces, which the kernel can't tell apart", []
    if rule.threshold or rule.first_seen or rule.suppress or rule.when is None:
        return "the rule needs more than one event", []
    whole = _without(rule.when, [guard.when for guard in (*rule.unless, *rule.exceptions)])
    decided = kernel_filter(whole, program.lists)
    if not decided.complete:
        return "an unless or exception reads what the kernel can't decide", []
    alternatives = []
    for tests in decided.alternatives:
        made = [_made(test) for test in tests]
        unknown = [test.path for test, one in zip(tests, made, strict=True) if one is None]
        if unknown:
            return f"the kernel does not know {', '.join(dict.fromkeys(unknown))} at an exec", []
        if not made:
            return "the rule holds for every exec", []
        alternatives.append([one for one in made if one is not None])
    return "", alternatives


def _without(when: Node, guards: list[Node]) -> Node:
    if not guards:
        return when
    denied = tuple(Not(operand=guard, type="bool", line=guard.line, column=guard.column) for guard in guards)
    return And(operands=(when, *denied), type="bool", line=when.line, column=when.column)


def _made(test: FieldTest) -> Test | None:
    if test.path == PATH:
        texts = [os.fsencode(str(value)) + (b"\0" if test.op == "eq" else b"") for value in test.values]
        return None if any(len(text) > TEXT_BYTES for text in texts) else Test(0, TEXT, test.denied, texts=tuple(texts))
    number = FIELDS.get(test.path)
    if number is None or test.op != "eq":
        return None
    if test.path.endswith(".type"):
        return Test(number, NUMBER, test.denied, tuple(code for value in test.values for code in DESCRIPTORS.get(str(value), ())))
    return Test(number, NUMBER, test.denied, tuple(int(value) for value in test.values))


def protect(bpf_object: BpfObject, root: Path = Path("/")) -> int:
    """Put the files that are never killed into the kernel's map; returns how many there are."""
    files = bpf_object.map("protected_files")
    count = 0
    for name in PROTECTED:
        try:
            stat = (root / name.lstrip("/")).stat()
        except OSError:
            continue
        files.put(struct.pack("<QII", stat.st_ino, os.major(stat.st_dev) << 20 | os.minor(stat.st_dev), 0), struct.pack("<I", 1))
        count += 1
    return count


def tell_scope(bpf_object: BpfObject, cgroup: int, *, is_container: bool) -> None:
    """Let the kernel know whether a cgroup belongs to a container or the host: in one that it does not know it never kills."""
    bpf_object.map("cgroup_scopes").put(struct.pack("<Q", cgroup), struct.pack("<I", SCOPE_CONTAINER if is_container else SCOPE_HOST))
