"""What conditions mean on events: absence, null, failures, types, and the functions that are ours."""

import pytest
from tests.detection.cel.judging import LISTS, an_event, holds, tree_of, value

from watchkeeper_detection.cel.check import Scope, check
from watchkeeper_detection.cel.compile import compile_captured, compile_condition, compile_value, parts
from watchkeeper_detection.cel.functions import opened
from watchkeeper_detection.cel.values import ABSENT, Duration, Failure, Timestamp

RECORD = {
    "verb": "create",
    "user": {"username": "Alice", "groups": ["dev", "system:masters"]},
    "sourceIPs": ["10.1.2.3", "fd00::1", "203.0.113.9", "s3.amazonaws.com"],
    "responseStatus": {"code": 201},
    "requestReceivedTimestamp": "2025-05-05T23:30:00.123456789Z",
    "annotations": {"authorization.k8s.io/decision": "allow"},
    "requestURI": "/api/v1/pods?x=1",
    "requestObject": {
        "null": None,
        "text": "abc",
        "one": 1,
        "big": 18446744073709551615,
        "half": 0.5,
        "yes": True,
        "list": ["a", None, 1],
        "containers": [{"image": "x", "securityContext": {"privileged": True}}, {"image": "y"}],
        "@type": "t",
    },
}

HOLDS = {
    "what is no object has no members": '!has(audit.requestObject.text.below) && audit.requestObject.list.exists(each, !has(each.below) && get(each.below, "none") == "none")',
    "equality of a field": 'audit.verb == "create"',
    "membership in a literal list": 'audit.verb in ["get", "create"]',
    "membership in a named list, whatever the case": "iin(audit.user.username, lists.names)",
    "equality whatever the case": 'ieq(audit.verb, "CREATE") && ieq("A", "a")',
    "an element of a list field": '"system:masters" in audit.user.groups',
    "a map's entry by key": 'audit.annotations["authorization.k8s.io/decision"] == "allow"',
    "a map's entry by quoted name": 'audit.annotations.`authorization.k8s.io/decision` == "allow"',
    "an open path": 'audit.requestObject.text == "abc" && audit.requestObject["@type"] == "t"',
    "an open number as any number": "audit.requestObject.one == 1 && audit.requestObject.one == 1u && audit.requestObject.one == 1.0 && audit.requestObject.half < 1",
    "an open bool that is no number": "audit.requestObject.yes == true && audit.requestObject.yes != 1",
    "different types are not equal": 'audit.requestObject.one != "1"',
    "an element that exists": "audit.requestObject.containers.exists(c, c.securityContext.privileged == true)",
    "absence in an element is no failure": "!audit.requestObject.containers.exists(c, c.image == 'z' || c.nope.deeper == 1) || true",
    "a key of an open object": '"text" in audit.requestObject',
    "null is absent": "!has(audit.requestObject['null']) && !('null' in audit.requestObject)",
    "has() of a closed field": "has(audit.verb) && !has(audit.stage)",
    "has() below what is absent": "!has(audit.responseObject.a.b) && !has(audit.requestObject.text.b)",
    "get() of what is there, and of what isn't": 'get(audit.verb, "") == "create" && get(audit.stage, "none") == "none" && get(audit.requestObject.nope, 7) == 7',
    "a number of any spelling": "audit.responseStatus.code >= 200 && audit.responseStatus.code < 300",
    "a time's parts": "audit.requestReceivedTimestamp.getHours() == 23 && audit.requestReceivedTimestamp.getHours('Europe/Berlin') == 1",
    "nanoseconds": "audit.requestReceivedTimestamp == timestamp('2025-05-05T23:30:00.123456789Z') && audit.requestReceivedTimestamp < timestamp('2025-05-05T23:30:00.12345679Z')",
    "a network": 'inCidr(audit.sourceIPs[0], "10.0.0.0/8") && !inCidr(audit.sourceIPs[0], ["192.168.0.0/16", "11.0.0.0/8"])',
    "an IPv6 network in a list": "inCidr(audit.sourceIPs[1], lists.internal)",
    "an IPv4 address written as IPv6": 'inCidr("::ffff:10.0.0.1", "10.0.0.0/8")',
    "public and private addresses": 'isPublicIP("8.8.8.8") && !isPublicIP(audit.sourceIPs[0]) && !isPublicIP("169.254.169.254") && !isPublicIP("::1") && isPublicIP("2606:4700::1")',
    "a glob over the whole text": 'glob(audit.requestURI, "/api/*/pods?x=?") && !glob(audit.requestURI, "/api") && glob("b", "[a-c]") && glob("d", "[!a-c]") && glob("a.b", "a.b") && !glob("axb", "a.b")',
    "a path under a folder": 'under("/etc/ssh/key", "/etc") && under("/etc", "/etc/") && !under("/etcetera", "/etc")',
    "a pattern anywhere in the text": 'audit.requestURI.matches("pods.x=[0-9]$")',
    "text in lower case": 'audit.user.username.lowerAscii() == "alice"',
    "a list's size": "size(audit.user.groups) == 2 && audit.user.groups.size() > 1",
    "two fields": "audit.verb != audit.user.username",
    "the integer beyond int64": "audit.requestObject.big == 18446744073709551615u",
    "absent is absorbed by ||": 'audit.stage == "x" || audit.verb == "create"',
    "a failure is absorbed by ||": 'audit.requestObject.one.startsWith("x") || audit.verb == "create"',
    "a named list walked": "lists.names.exists(n, n == 'bob')",
    "a chain of elements": "audit.requestObject.containers.filter(c, has(c.securityContext)).map(c, c.image) == ['x']",
}


@pytest.mark.parametrize("rule", HOLDS)
def test_holds(rule):
    assert value(HOLDS[rule], RECORD) is True
    assert holds(HOLDS[rule], RECORD) is True


NEITHER = {
    "an absent field compared": 'audit.stage == "x"',
    "an absent field negated": 'audit.stage != "x"',
    "an absent field not in a list": '!(audit.stage in ["x"])',
    "an absent open path": 'audit.requestObject.nope != "x"',
    "a path below a text": "audit.requestObject.text.deeper == 1",
    "an index past the end": "audit.sourceIPs[9] == 'x'",
    "a text that is no address": 'inCidr(audit.sourceIPs[3], "10.0.0.0/8")',
    "a service's name is neither public nor private": "isPublicIP(audit.sourceIPs[3])",
    "absent and true": 'audit.stage == "x" && audit.verb == "create"',
    "an element that is null": "audit.requestObject.list.exists(x, x == 'nope')",
    "a condition on an absent choice": "audit.stage == 'x' ? true : true",
}


@pytest.mark.parametrize("rule", NEITHER)
def test_comes_out_absent(rule):
    assert value(NEITHER[rule], RECORD) is ABSENT
    assert holds(NEITHER[rule], RECORD) is False
    assert holds(f"!({NEITHER[rule]})", RECORD) is False


FAILS = {
    "a function of a number that takes text": 'audit.requestObject.one.startsWith("x")',
    "an order of text and number": "audit.requestObject.text < 1",
    "an integer overflow": "audit.responseStatus.code + 9223372036854775807 > 0",
    "a division by zero": "audit.responseStatus.code / 0 == 1",
    "a default of another type than the value": "get(audit.requestObject.one, true)",
    "a text as a condition": "audit.requestObject.text && true",
    "an index of a computed list past its end": 'audit.verb.split("e")[7] == "x"',
    "true as a number": "audit.requestObject.yes + 1 == 2",
    "an int and a uint added": "dyn(1) + dyn(1u) == 2",
}


@pytest.mark.parametrize("rule", FAILS)
def test_fails(rule):
    assert isinstance(value(FAILS[rule], RECORD), Failure)
    assert holds(FAILS[rule], RECORD) is False
    assert holds(f"!({FAILS[rule]})", RECORD) is False


def test_a_field_of_another_kind_is_absent():
    tree = check('cloudtrail.eventName == "x" || audit.verb == "create"', Scope(kinds=("audit.request", "cloudtrail.event")), want="bool").tree
    assert compile_condition(tree, {})(an_event(RECORD)) is True
    assert compile_condition(tree, {})(an_event({})) is False


def test_an_open_field_is_decoded_once_and_kept():
    event = an_event(RECORD)
    first = opened(event.audit, "requestObject")
    assert opened(event.audit, "requestObject") is first
    assert event.audit.requestObject is first


def test_json_that_the_decoder_refuses_is_still_read():
    event = an_event({})
    raw = an_event({"requestObject": "x"}).audit.requestObject
    event.audit.requestObject = type(raw)(b'{"a": "\\ud800", "b": 1e999}')
    tree = tree_of('audit.requestObject.a.matches(".") && audit.requestObject.b > 1')
    assert compile_condition(tree, {})(event) is True


def test_captured_scalars_stand_for_fields_and_steps():
    scope = Scope(kinds=("audit.request",), steps={"read": ("audit.request",)})
    text = 'audit.user.username == read.audit.user.username && audit.requestObject.spec.nodeName != read.audit.annotations["a/b"] && audit.stageTimestamp > read.audit.stageTimestamp'
    test = compile_captured(check(text, scope, want="bool").tree, {})
    captured = {
        "audit.user.username": "a",
        "read.audit.user.username": "a",
        "audit.requestObject.spec.nodeName": "n1",
        "read.audit.annotations.a/b": "n2",
        "audit.stageTimestamp": str(Timestamp(2)),
        "read.audit.stageTimestamp": "1970-01-01T00:00:00.000000001Z",
    }
    assert test(captured) is True
    for key in captured:
        assert test({**captured, key: None}) is False
        assert test({other: each for other, each in captured.items() if other != key}) is False


def test_a_field_of_an_earlier_step_is_absent_on_an_event_alone():
    tree = check("read.audit.verb == audit.verb || !(read.audit.verb == 'x')", Scope(kinds=("audit.request",), steps={"read": ("audit.request",)})).tree
    assert compile_value(tree, {})(an_event(RECORD)) is ABSENT


def test_parts_are_told_with_their_text_and_their_own_value():
    tree = tree_of("audit.verb == 'create' && !(audit.stage == 'x' || has(audit.user.uid))")
    assert [(text, judge(an_event(RECORD))) for text, judge in parts(tree, LISTS)] == [
        ('audit.verb == "create"', True),
        ('audit.stage == "x"', ABSENT),
        ("has(audit.user.uid)", False),
    ]


def test_times_are_written_as_they_are_read():
    assert str(Timestamp(1_000_000_001)) == "1970-01-01T00:00:01.000000001Z"
    assert str(Duration(-1_500_000_000)) == "-1.5s"


def test_declared_variables_are_attributes_of_what_is_judged():
    tree = check('severity == "P1"', Scope(variables={"severity": "string"}), want="bool").tree
    assert compile_condition(tree, {})(type("Judged", (), {"severity": "P1"})()) is True
