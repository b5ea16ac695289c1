"""What the checker refuses, with place and nearest name; and what it says that an expression reads."""

import pytest
from tests.detection.cel.judging import SCOPE, errors_of

from watchkeeper_detection.cel.check import Scope, check

WITH_STEP = Scope(kinds=("audit.request",), steps={"read": ("audit.request", "cloudtrail.event")}, lists=frozenset({"names"}))

REFUSED = {
    "an unknown field, with the nearest one": ('audit.verbb == "x"', "1:7: there is no field audit.verbb (did you mean audit.verb?)"),
    "an unknown root": ('adit.verb == "x"', "1:1: there is nothing called adit (did you mean audit?)"),
    "a field given without its root": ('username == "x"', "1:1: there is nothing called username"),
    "an object of fields": ('audit.user == "x"', "1:7: audit.user is an object of fields, not a field"),
    "a field that no kind in scope has": (
        'cloudtrail.eventName == "x"',
        "1:1: cloudtrail.eventName does not exist on audit.request (it exists on cloudtrail.event)",
    ),
    "a name below a string": ('audit.verb.name == "x"', "1:12: string has no fields"),
    "a name below a list": ('audit.user.groups.name == "x"', "1:19: list(string) has no fields (it is a list: ask .exists(x, …)"),
    "a string compared with a number": ("audit.verb == 1", "1:12: string == int does not fit (put quotes around the value)"),
    "a number compared with a string": ('audit.responseStatus.code == "200"', "1:27: int == string does not fit (leave the quotes away)"),
    "a list compared with a string": ('audit.user.groups == "x"', "1:19: list(string) == string does not fit (ask VALUE in LIST"),
    "a field compared with null": ("audit.verb == null", "1:12: a field is never null: null is absent (use !has(FIELD))"),
    "a field that must not be null": ("audit.requestObject.a != null", "1:23: a field is never null: null is absent (use has(FIELD))"),
    "a condition that is no condition": ("audit.verb", "1:7: the expression is string, not bool (a condition compares"),
    "a text as an operand of &&": ('audit.verb && audit.stage == "x"', "1:7: expected a condition, this is string"),
    "an unknown function, with the nearest one": ('audit.verb.startWith("x")', "1:12: there is no function startWith (did you mean startsWith?)"),
    "a function called as a method": ('audit.verb.inCidr("10.0.0.0/8")', "1:12: inCidr is not called on a value (write inCidr(…))"),
    "a method called as a function": ('startsWith(audit.verb, "x")', "1:1: startsWith is called on a value (write VALUE.startsWith(…))"),
    "an argument that does not fit": ("audit.verb.startsWith(1)", "1:12: startsWith(int) on string does not fit (it takes (string))"),
    "an unknown list, with the nearest one": ("audit.verb in lists.name", "1:21: there is no list name (did you mean lists.names?)"),
    "a pattern that is none": ('audit.verb.matches("(")', "1:12: '(' is no regular expression: missing ): ("),
    "a glob with an open bracket": ('glob(audit.verb, "[a")', "1:1: in '[a' a [ is not closed"),
    "a network that is none": ('inCidr(audit.sourceIPs[0], ["10.0.0.0/33"])', "1:1: '10.0.0.0/33' is no network: the prefix is too long"),
    "a time that is none": ("audit.stageTimestamp > timestamp('yesterday')", "1:24: 'yesterday' is no RFC 3339 timestamp"),
    "a message": ("TestAllTypes{} == 1", "1:13: there are no messages in this language"),
    "a macro over a text": ('audit.verb.exists(x, x == "a")', "1:12: exists() walks a list or a map, this is string"),
    "a macro whose predicate is no condition": ("audit.user.groups.exists(x, x)", "1:29: exists() asks a condition of each element, this is string"),
    "a default of another type": ("get(audit.verb, 1) == 1", "1:17: the field is string, the default int"),
    "a list read from an earlier step": (
        '"x" in read.audit.user.groups',
        "of an earlier step only single values are kept, read.audit.user.groups is list(string)",
    ),
    "has() of what is no field": ("has(audit)", "1:5: has() asks for a field"),
    "an index below zero": ("audit.sourceIPs[-1] == 'x'", "an index counts from 0"),
}


@pytest.mark.parametrize("rule", REFUSED)
def test_the_checker_refuses(rule):
    text, expected = REFUSED[rule]
    errors = errors_of(text, WITH_STEP)
    assert len(errors) == 1
    assert expected in errors[0]


UNREADABLE = {
    "an empty text": ("", "1:1: the expression is empty"),
    "an early end": ("audit.verb ==", "1:14: the expression ends too early"),
    "a single equals sign": ('audit.verb = "x"', "1:12: unexpected '=' (did you mean ==?)"),
    "the word and": ("true and false", "1:6: unexpected 'and' (did you mean &&?)"),
    "a quote that does not end": ("true == 'x", '1:9: unexpected "\'" (the text in quotes does not end)'),
    "an unknown escape": (r"audit.verb == 'a\d'", r"1:15: there is no escape \d"),
    "a reserved word": ("if == 1", "1:1: 'if' is a reserved word"),
    "a number beyond 64 bits": ("9223372036854775808 == 1", "1:1: the number does not fit into 64 bits"),
    "half of a surrogate pair": ("'\ud800' == 'x'", "1:1: the expression holds a lone surrogate"),
    "an error in the second line": ("true &&\n  = 1", "2:3: unexpected '='"),
}


@pytest.mark.parametrize("rule", UNREADABLE)
def test_the_parser_refuses(rule):
    text, expected = UNREADABLE[rule]
    [error] = errors_of(text)
    assert error.startswith(expected)


def test_all_errors_come_at_once_in_the_order_of_the_text():
    errors = errors_of('audit.verbb == "x" || audit.responseStatus.code == "1" || nope(1)')
    assert [error.partition(":")[2].partition(":")[0] for error in errors] == ["7", "49", "59"]


def test_a_field_needs_to_exist_on_one_of_the_kinds_only():
    assert errors_of('cloudtrail.eventName == "x" || audit.verb == "y"', Scope(kinds=("audit.request", "cloudtrail.event"))) == []


def test_the_checker_names_what_is_read():
    checked = check(
        'audit.verb == "x" && audit.requestObject.spec.containers.exists(c, c.env[0].name == "K") && audit.annotations["a/b"] in lists.names && '
        "audit.user.username == read.cloudtrail.eventName && audit.requestObject.spec.x.y == 1",
        WITH_STEP,
        want="bool",
    )
    assert checked.type == "bool"
    assert checked.reads == ("audit.annotations", "audit.requestObject", "audit.user.username", "audit.verb")
    assert checked.open_paths == (
        "audit.requestObject.spec.containers",
        "audit.requestObject.spec.containers[].env[0].name",
        "audit.requestObject.spec.x.y",
    )
    assert checked.step_reads == (("read", "cloudtrail.eventName"),)
    assert checked.lists == ("names",)


UNGUARDED = {
    'audit.requestObject.a != "x"': ["audit.requestObject.a"],
    '!(audit.requestObject.a == "x")': ["audit.requestObject.a"],
    "!(audit.requestObject.a in lists.names)": ["audit.requestObject.a"],
    'has(audit.requestObject.a) && audit.requestObject.a != "x"': [],
    'has(audit.requestObject.a.b) && audit.requestObject.a != "x"': [],
    'has(audit.requestObject.b) && audit.requestObject.a != "x"': ["audit.requestObject.a"],
    '!has(audit.requestObject.a) || audit.requestObject.a != "x"': [],
    'has(audit.requestObject.a) || audit.requestObject.a != "x"': ["audit.requestObject.a"],
    'get(audit.requestObject.a, "") != "x"': [],
    "!has(audit.requestObject.a)": [],
    'audit.requestObject.list.exists(c, c.a != "x")': ["audit.requestObject.list[].a"],
    'audit.requestObject.list.exists(c, has(c.a) && c.a != "x")': [],
    'audit.requestObject.a == "x" && audit.verb != "y"': [],
}


@pytest.mark.parametrize("text", UNGUARDED)
def test_negation_of_an_open_path_wants_a_guard(text):
    scope = Scope(kinds=("audit.request",), lists=frozenset({"names"}))
    assert [path for path, _, _ in check(text, scope, want="bool").unguarded] == UNGUARDED[text]


def test_dyn_is_permissive():
    assert (
        errors_of('audit.requestObject.a == 1 || audit.requestObject.a == "x" || audit.requestObject.a.startsWith("y") || audit.requestObject.a > 1.5', SCOPE)
        == []
    )
