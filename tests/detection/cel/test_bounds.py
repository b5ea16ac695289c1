"""No expression and no record makes checking, compiling or judging run away, and none gets more out than an error or a Failure."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.detection.cel.judging import LISTS, an_event, errors_of, holds, tree_of, value

from watchkeeper_detection.cel.compile import compile_captured, compile_condition, compile_value, parts
from watchkeeper_detection.cel.errors import CelErrors
from watchkeeper_detection.cel.requirements import clauses
from watchkeeper_detection.cel.spelling import spell
from watchkeeper_detection.cel.tree import Call, Constant, Field, ListOf, Local, Loop, Not, decode, encode
from watchkeeper_detection.cel.values import Failure


def nested(wrap, leaf, levels):
    for _ in range(levels):
        leaf = wrap(leaf)
    return leaf


def bound(first, step, last):
    """`cel.bind(x0, first, cel.bind(x1, step of x0, … last))`, 40 deep; `{}` stands for the variable."""
    steps = "".join(f"cel.bind(x{number + 1}, {step.format(f'x{number}')}, " for number in range(40))
    return f"cel.bind(x0, {first}, {steps}{last.format('x40')}{')' * 41}"


DEEP = {
    "negations": nested(lambda inner: f"!({inner})", 'audit.verb == "a"', 95),
    "conjunctions and disjunctions": nested(lambda inner: f'(audit.stage == "x" || (audit.verb == "a" && {inner}))', 'audit.verb == "a"', 47),
    "choices in conditions": nested(lambda inner: f"({inner} ? true : false)", 'audit.verb == "a"', 95),
    "comparisons of conditions": nested(lambda inner: f"(({inner}) == true)", 'audit.verb == "a"', 95),
    "loops": nested(lambda inner: f"[1].exists(x, {inner})", 'audit.verb == "a"', 95),
    "loops for their value": nested(lambda inner: f"([1].all(x, {inner}) == true)", 'audit.verb == "a"', 47),
    "bindings": nested(lambda inner: f"cel.bind(x, 1, {inner})", 'audit.verb == "a"', 95),
    "parentheses": "(" * 3000 + 'audit.verb == "a"' + ")" * 3000,
}


@pytest.mark.parametrize("rule", DEEP)
def test_the_deepest_allowed_expression_goes_through_every_step(rule):
    tree = tree_of(DEEP[rule])
    assert decode(encode(tree)) == tree
    assert spell(tree)
    assert parts(tree, LISTS)
    compile_captured(tree, LISTS)
    clauses(tree, LISTS)
    assert compile_condition(tree, LISTS)(an_event({"verb": "a"})) is not compile_condition(Not(operand=tree), LISTS)(an_event({"verb": "a"}))


REFUSED = {
    "too deep": ("!" * 3000 + "true", "nested more than 100 levels deep"),
    "too deep in lists": ("[" * 3000 + "]" * 3000, "nested more than 100 levels deep"),
    "too long": ("true && " * 3000 + "true", "longer than 16384 characters"),
    "too many parts": ("+".join(["1", "(1)"] * 50) + " == " + "||".join(["true"] * 2500), ""),
    "too many elements": (f"1 in [{','.join(['1'] * 1500)}]", "more than 1000 elements"),
    "a pattern too large": (r"audit.verb.matches('\\pL{1,300}x')", "repeats too much"),
    "a pattern too long": (f"audit.verb.matches('{'a' * 5000}')", "longer than 4096 letters"),
    "a map whose type doubles": (bound("1", "{{{0}: {0}}}", "true"), "a map's key can't be"),
}


@pytest.mark.parametrize("rule", REFUSED)
def test_refused(rule):
    text, expected = REFUSED[rule]
    assert any(expected in error for error in errors_of(text))


BOMBS = {
    "text that doubles": bound("'aa'", "{0} + {0}", "{0} == ''"),
    "a list that doubles": bound("[1, 1]", "{0} + {0}", "{0} == []"),
    "a shared list compared": bound("[1, 1]", "[{0}, {0}]", "{0} == {0}"),
    "a shared list searched": bound("[1, 1]", "[{0}, {0}]", "{0} in [{0}]"),
    "a shared list written out": bound("[1, 1]", "[{0}, {0}]", "'%s'.format([{0}]) == ''"),
    "a shared list as a set": bound("[1, 1]", "[{0}, {0}]", "sets.contains([{0}, {0}], [{0}, {0}])"),
    "replacements that multiply": nested(lambda inner: f"{inner}.replace('a', 'aaaaaaaaaaaaaaaa')", "'a'", 40) + " == ''",
    "a text joined from many": "'a'.split('').map(x, 'a') == [] || "
    + nested(lambda inner: f"[{inner}, {inner}, {inner}].join('xxxxxxxxxxxxxxxxxxxx')", "'a'", 1)
    + ".size() < 0 || ["
    + "'"
    + "a" * 900
    + "'"
    + "].join().replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') == ''",
    "nested loops": "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].all(a, " * 20 + "true" + ")" * 20,
    "nested loops for their value": "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(a, " * 20 + "true" + ")" * 20 + " == []",
}


@pytest.mark.parametrize("rule", BOMBS)
def test_a_small_expression_that_would_grow_fails_instead(rule):
    assert isinstance(value(BOMBS[rule]), Failure)
    assert holds(BOMBS[rule]) is False


def test_a_large_record_does_not_make_loops_run_away():
    record = {"requestObject": {"list": list(range(5000))}}
    text = "audit.requestObject.list.exists(a, audit.requestObject.list.exists(b, a + b < 0))"
    assert value(text, record) == Failure("the loops take more than 10000 steps")
    assert holds(text, record) is False
    assert holds(f"!{text}", record) is False


def test_one_loop_over_a_large_record_is_allowed():
    assert holds("audit.requestObject.list.exists(a, a == 4999)", {"requestObject": {"list": list(range(5000))}})


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab.()[]{}!&|=<>?:,'\"\\ \n1u0x-+*/%`\ud800") | st.characters(), max_size=60))
def test_any_text_is_either_an_expression_or_errors_with_places(text):
    errors = errors_of(text, want=None)
    if not errors:
        compile_value(tree_of(text, want=None), LISTS)(an_event({}))
    assert all(re.match(r"[1-9]\d*:[1-9]\d*: .", error) for error in errors)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_bytes_that_are_no_tree_are_refused(wire):
    with pytest.raises(ValueError):  # noqa: PT011 (msgspec's own errors are ValueErrors)
        decode(wire)


def test_a_tree_of_another_version_is_refused():
    wire = encode(tree_of("true"))
    with pytest.raises(ValueError, match="tree version 2"):
        decode(wire.replace(b"\x92\x01", b"\x92\x02", 1))


UNSOUND = {
    "a field that there is not": (Field(path="audit.nope", type="string"), "there is no field audit.nope"),
    "a field of another type": (Field(path="audit.verb", type="int"), "the field audit.verb is string, not int"),
    "a constant of another type": (
        Call(function="_==_", arguments=(Field(path="audit.verb", type="string"), Constant(value=1, type="string"))),
        "the constant is no string",
    ),
    "a function that there is not": (Call(function="exit", arguments=()), "there is no function exit"),
    "a variable that nothing binds": (Local(name="x"), "nothing binds x"),
    "a loop without a predicate": (Loop(macro="exists", over=ListOf(elements=()), names=("x",), predicate=None, result=None), "exists() lacks a part"),
    "a tree too deep": (nested(lambda inner: Not(operand=inner), Constant(value=True, type="bool"), 200), "100 levels"),
}


@pytest.mark.parametrize("rule", UNSOUND)
def test_a_tree_from_elsewhere_is_checked_again_before_it_compiles(rule):
    tree, expected = UNSOUND[rule]
    with pytest.raises(CelErrors, match=re.escape(expected)):
        compile_condition(tree, {})
