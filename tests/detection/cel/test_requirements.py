"""Necessary atoms, and the filter that the kernel gets."""

import pytest
from tests.detection.cel.judging import LISTS, tree_of

from watchkeeper_detection.cel.check import Scope
from watchkeeper_detection.cel.kernel_filter import FieldTest, KernelFilter, exact, kernel_filter
from watchkeeper_detection.cel.requirements import clauses, conjuncts
from watchkeeper_detection.cel.spelling import spell

FILES = Scope(kinds=("file.open",), lists=frozenset(LISTS))

CLAUSES = {
    'audit.verb == "a"': ["verb eq a"],
    '"a" == audit.verb': ["verb eq a"],
    'audit.verb in ["a", "b"] && audit.stage == "c"': ["verb eq a | verb eq b", "stage eq c"],
    "audit.verb in lists.names": ["verb eq alice | verb eq bob"],
    'audit.verb == "a" || audit.stage == "b"': ["stage eq b | verb eq a"],
    'audit.verb == "a" || audit.requestObject.x == "b"': [],
    '(audit.verb == "a" && audit.stage == "c") || (audit.verb == "b" && audit.stage == "d")': ["stage eq c | stage eq d", "verb eq a | verb eq b"],
    'audit.verb.startsWith("a") && audit.verb.endsWith("b") && audit.verb.contains("c") && audit.verb.matches("d")': [
        "verb prefix a",
        "verb suffix b",
        "verb contains c",
        "verb regex d",
    ],
    'audit.verb.lowerAscii() == "a"': ["verb ieq a"],
    'ieq(audit.verb, "a") && iin(audit.stage, ["b"])': ["verb ieq a", "stage ieq b"],
    '["x", "y"].exists(word, audit.userAgent.contains(word))': ["userAgent contains x | userAgent contains y"],
    "audit.responseStatus.code == 403": ["responseStatus.code eq 403"],
    '!(audit.verb != "a")': ["verb eq a"],
    '!(audit.verb == "a")': [],
    'audit.verb != "a"': [],
    '!(audit.verb != "a" || audit.stage != "b")': ["verb eq a", "stage eq b"],
    'audit.requestObject.a == "x"': [],
    '(audit.stage == "z" ? audit.verb == "a" : audit.verb == "b")': ["verb eq a | verb eq b", "stage eq z | verb eq b"],
    'get(audit.verb, "a") == "a"': [],
}


@pytest.mark.parametrize("text", CLAUSES)
def test_what_must_hold_for_the_condition_to_hold(text):
    found = [" | ".join(sorted(f"{atom.path.removeprefix('audit.')} {atom.op} {atom.value}" for atom in clause)) for clause in clauses(tree_of(text), LISTS)]
    assert sorted(found) == sorted(CLAUSES[text])


def test_a_clause_of_more_than_64_atoms_says_nothing():
    values = ", ".join(f'"{number}"' for number in range(65))
    assert clauses(tree_of(f"audit.verb in [{values}]"), {}) == ()


def test_conjuncts_are_the_operands_of_the_uppermost_and():
    assert [spell(part) for part in conjuncts(tree_of("audit.verb == 'a' && (audit.stage == 'b' && has(audit.level)) && (true || false)"))] == [
        'audit.verb == "a"',
        'audit.stage == "b"',
        "has(audit.level)",
        "true || false",
    ]


EXACT = {
    'file.path == "/a" && (file.name in ["b", "c"] || !file.path.startsWith("/d")) && file.inode != 7 && file.setuid': (),
    "file.name in lists.names": (),
    'file.path == "/a" && file.directory == "/b"': ("file.directory",),
    'file.path.endsWith("/a")': ("file.path",),
    "has(file.path)": ("file.path",),
    "file.inode > 7": ("file.inode",),
    "size('a') == 1": ('size("a") == 1',),
    'file.path == file.name || file.hash == "x"': ("file.path", "file.name", "file.hash"),
}


@pytest.mark.parametrize("text", EXACT)
def test_what_keeps_the_kernel_from_deciding(text):
    assert exact(tree_of(text, FILES)) == EXACT[text]
    assert kernel_filter(tree_of(text, FILES), LISTS).complete is (EXACT[text] == ())


def test_a_filter_is_alternatives_of_tests():
    tree = tree_of('file.path.startsWith("/a") && !(file.name == "b" || file.inode == 1) || file.setuid', FILES)
    assert kernel_filter(tree, LISTS) == KernelFilter(
        (
            (FieldTest("file.path", "prefix", ("/a",)), FieldTest("file.name", "eq", ("b",), denied=True), FieldTest("file.inode", "eq", (1,), denied=True)),
            (FieldTest("file.setuid", "eq", (True,)),),
        ),
        complete=True,
    )


def test_what_the_kernel_cannot_test_is_let_through():
    assert kernel_filter(tree_of('file.name == "a" && file.directory == "b"', FILES), LISTS) == KernelFilter(
        ((FieldTest("file.name", "eq", ("a",)),),), complete=False
    )
    assert kernel_filter(tree_of('file.name == "a" || !(file.directory == "b")', FILES), LISTS).alternatives == ((FieldTest("file.name", "eq", ("a",)),), ())


def test_too_many_alternatives_let_everything_through():
    text = " && ".join(f'(file.name == "{number}" || file.inode == {number})' for number in range(8))
    found = kernel_filter(tree_of(text, FILES), LISTS)
    assert not found.complete
    assert len(found.alternatives) <= 64
    wide = kernel_filter(tree_of(" || ".join(f"file.inode == {number}" for number in range(80)), FILES), LISTS)
    assert wide == KernelFilter(((),), complete=False)
