"""The compiled rails against the plain evaluator, on generated conditions and records."""

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.detection.cel import reference
from tests.detection.cel.judging import LISTS, SCOPE, an_event

from watchkeeper_detection.cel.check import check
from watchkeeper_detection.cel.compile import compile_captured, compile_condition, compile_value, parts
from watchkeeper_detection.cel.requirements import clauses, conjuncts
from watchkeeper_detection.cel.spelling import spell
from watchkeeper_detection.cel.tree import Not, decode, encode
from watchkeeper_detection.cel.values import ABSENT, Failure

WORDS = ["", "a", "b", "ab", "Alice", "alice", "bob"]
TEXT_FIELDS = ["audit.verb", "audit.user.username", "audit.objectRef.namespace"]
OPEN_PATHS = ["audit.requestObject.a", "audit.requestObject.b", "audit.requestObject.deep.a", 'audit.requestObject["deep"].list', "audit.requestObject.list[0]"]

words = st.sampled_from([f'"{word}"' for word in WORDS])
text_fields = st.sampled_from(TEXT_FIELDS)
open_paths = st.sampled_from(OPEN_PATHS)
texts = (
    text_fields
    | words
    | text_fields.map(lambda path: f"{path}.lowerAscii()")
    | text_fields.map(lambda path: f'get({path}, "a")')
    | st.just('audit.annotations["k"]')
)
numbers = st.sampled_from(["audit.responseStatus.code", "0", "1", "200", "size(audit.user.groups)", "size(audit.verb)", "get(audit.responseStatus.code, 1)"])
anything = open_paths | words | st.sampled_from(["dyn(1)", "true", "dyn(audit.verb)", "dyn([1, 'a'])"])
lists_of_texts = st.lists(words, max_size=3).map(lambda each: f"[{', '.join(each)}]") | st.sampled_from(["audit.user.groups", "lists.names", "audit.sourceIPs"])


def joined(pattern, *parts_of):
    return st.tuples(*parts_of).map(lambda each: pattern.format(*each))


atoms = st.one_of(
    joined("{} {} {}", texts, st.sampled_from(["==", "!=", "<", ">="]), texts),
    joined("{} {} {}", numbers, st.sampled_from(["==", "!=", "<", ">="]), numbers),
    joined("{} {} {}", open_paths, st.sampled_from(["==", "!=", "<", ">="]), anything),
    joined("{} in {}", texts, lists_of_texts),
    joined("{} in {}", open_paths, lists_of_texts),
    joined("{} in [1, 200]", numbers),
    joined("{} in audit.requestObject.list", anything),
    joined("{}.{}({})", texts | open_paths, st.sampled_from(["startsWith", "contains"]), texts),
    joined("has({})", text_fields | open_paths),
    joined("get({}, false)", open_paths),
    joined("size({}) == 1", open_paths),
    open_paths,
    st.sampled_from(["true", "false", "audit.requestObject == audit.responseObject"]),
)
elements = st.one_of(
    joined("x == {}", words),
    joined("x.startsWith({})", texts),
    joined("x.a == {}", words | st.just("1")),
    joined("!(x in {})", lists_of_texts),
    joined("{} == {}", texts, texts),
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        joined("({} && {})", inner, inner),
        joined("({} || {})", inner, inner),
        joined("!({})", inner),
        joined("({} ? {} : {})", inner, inner, inner),
        joined("cel.bind(y, {}, y == 'a' || {})", texts, inner),
        joined(
            "dyn({}).{}(x, {})",
            st.sampled_from(["audit.requestObject.list", "audit.requestObject.deep", "audit.user.groups"]),
            st.sampled_from(["all", "exists"]),
            elements,
        ),
        joined("audit.user.groups.{}(x, x == {} || {})", st.sampled_from(["all", "exists"]), words, inner),
    ),
    max_leaves=8,
)

scalars = st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from([*WORDS, 0.0, 1.0, 1.5])
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "deep", "list"]), inner, max_size=3), max_leaves=6
)
maybe_text = st.none() | st.sampled_from(WORDS)
records = st.fixed_dictionaries(
    {},
    optional={
        "verb": maybe_text,
        "user": st.fixed_dictionaries({}, optional={"username": maybe_text, "groups": st.none() | st.lists(st.sampled_from(WORDS), max_size=3)}),
        "objectRef": st.fixed_dictionaries({}, optional={"namespace": maybe_text}),
        "responseStatus": st.fixed_dictionaries({}, optional={"code": st.none() | st.sampled_from([0, 1, 200])}),
        "sourceIPs": st.none() | st.lists(st.sampled_from(WORDS), max_size=2),
        "annotations": st.none() | st.dictionaries(st.just("k"), st.sampled_from(WORDS), max_size=1),
        "requestObject": st.dictionaries(st.sampled_from(["a", "b", "deep", "list"]), json_values, max_size=4) | scalars,
        "responseObject": json_values,
    },
)


def plainly(found):
    """The compiled value in the reference's words."""
    if found is ABSENT:
        return reference.ABSENT
    return reference.FAILED if isinstance(found, Failure) else found


@settings(max_examples=300, deadline=None)
@given(conditions, records)
@example("audit.requestObject.a == 'a' || audit.requestObject.b.startsWith('a')", {"requestObject": {"b": 1}})
def test_the_rails_agree_with_the_plain_evaluator(text, record):
    tree = check(text, SCOPE, want="bool").tree
    expected = reference.evaluate(tree, record, LISTS)
    found = plainly(compile_value(tree, LISTS)(an_event(record)))
    assert found is expected or reference.same(found, expected)
    assert compile_condition(tree, LISTS)(an_event(record)) is (expected is True)
    assert compile_condition(Not(operand=tree, type="bool"), LISTS)(an_event(record)) is (expected is False)


@settings(max_examples=100, deadline=None)
@given(conditions, records)
def test_a_tree_survives_the_wire_and_its_spelling(text, record):
    tree = check(text, SCOPE, want="bool").tree
    assert decode(encode(tree)) == tree
    again = check(spell(tree), SCOPE, want="bool").tree
    assert spell(again) == spell(tree)
    assert compile_condition(again, LISTS)(an_event(record)) is compile_condition(tree, LISTS)(an_event(record))


def atom_holds(atom, record):
    value = record
    for word in atom.path.split(".")[1:]:
        value = value.get(word) if isinstance(value, dict) else None
    if value is None:
        return False
    tests = {
        "eq": lambda: type(value) is type(atom.value) and value == atom.value,
        "ieq": lambda: value.casefold() == atom.value.casefold(),
        "prefix": lambda: value.startswith(atom.value),
        "suffix": lambda: value.endswith(atom.value),
        "contains": lambda: atom.value in value,
        "present": lambda: True,
    }
    return tests[atom.op]()


@settings(max_examples=300, deadline=None)
@given(conditions, records)
@example(
    "(audit.verb == 'a' ? audit.user.username == 'b' : audit.verb == 'b') && audit.responseStatus.code in [0, 1]", {"verb": "b", "responseStatus": {"code": 1}}
)
def test_every_clause_has_an_atom_that_holds_when_the_condition_does(text, record):
    tree = check(text, SCOPE, want="bool").tree
    if compile_condition(tree, LISTS)(an_event(record)):
        for clause in clauses(tree, LISTS):
            assert any(atom_holds(atom, record) for atom in clause), clause


@settings(max_examples=300, deadline=None)
@given(conditions, records)
def test_a_condition_holds_exactly_when_all_its_conjuncts_do(text, record):
    tree = check(text, SCOPE, want="bool").tree
    each = [compile_condition(part, LISTS)(an_event(record)) for part in conjuncts(tree)]
    assert compile_condition(tree, LISTS)(an_event(record)) is all(each)
    assert parts(tree, LISTS)


closed_conditions = st.recursive(
    joined("{} {} {}", text_fields | words, st.sampled_from(["==", "!=", "<"]), text_fields | words)
    | joined("has({})", text_fields)
    | joined("audit.responseStatus.code > {}", numbers.filter(str.isdigit)),
    lambda inner: joined("({} && {})", inner, inner) | joined("({} || {})", inner, inner) | joined("!({})", inner),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(closed_conditions, records)
def test_captured_scalars_are_judged_as_the_event_is(text, record):
    checked = check(text, SCOPE, want="bool")
    captured = {path: reference.evaluate(check(f"has({path}) ? {path} : {path}", SCOPE).tree, record, LISTS) for path in checked.reads}
    captured = {path: found for path, found in captured.items() if found is not reference.ABSENT}
    assert compile_captured(checked.tree, LISTS)(captured) is compile_condition(checked.tree, LISTS)(an_event(record))
