"""cel-python's evaluator as a second opinion, on expressions that it is known to answer as the specification says.

Left out, because it does not: numbers of different types in one comparison, comparisons of different types, nanoseconds,
`''.contains('')`, failures inside lists and macros. Where it breaks down it has no opinion.
"""

import celpy
import celpy.celtypes
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.detection.cel.judging import SCOPE

from watchkeeper_detection.cel.check import check
from watchkeeper_detection.cel.compile import compile_value
from watchkeeper_detection.cel.errors import CelErrors
from watchkeeper_detection.cel.values import Failure

ENVIRONMENT = celpy.Environment()


def joined(pattern, *parts):
    return st.tuples(*parts).map(lambda each: pattern.format(*each))


ints = st.recursive(
    st.integers(-9, 9).map(str) | st.sampled_from(["9223372036854775807", "4611686018427387904"]),
    lambda inner: joined("({} {} {})", inner, st.sampled_from(["+", "-", "*", "/"]), inner) | joined("(true ? {} : {})", inner, inner),
    max_leaves=4,
)
texts = st.recursive(
    st.sampled_from(["''", "'a'", "'ab'", "'bä'", '"it\'s"']),
    lambda inner: joined("({} + {})", inner, inner),
    max_leaves=3,
)
small = st.integers(-9, 9).map(str)
lists = st.lists(small, max_size=3).map(lambda each: f"[{', '.join(each)}]")
conditions = st.recursive(
    st.one_of(
        joined("{} {} {}", ints, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), ints),
        joined("{} {} {}", texts, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), texts),
        joined("{}.{}({})", texts, st.sampled_from(["startsWith", "endsWith"]), texts),
        joined("{} in {}", ints, lists),
        joined("size({}) == {}", lists | texts, ints),
        joined("{}.{}(x, x {} {})", lists, st.sampled_from(["all", "exists"]), st.sampled_from(["<", "==", ">"]), small),
        joined("{}.map(x, x + 1) == {}", lists, lists),
        joined("{}.filter(x, x > 2) == {}", lists, lists),
        st.sampled_from(["true", "false"]),
    ),
    lambda inner: st.one_of(
        joined("({} && {})", inner, inner), joined("({} || {})", inner, inner), joined("!({})", inner), joined("({} ? {} : {})", inner, inner, inner)
    ),
    max_leaves=4,
)


def their_answer(text):
    try:
        return bool(ENVIRONMENT.program(ENVIRONMENT.compile(text)).evaluate({}))
    except celpy.CELEvalError:
        return "failed"
    except (IndexError, TypeError):
        return None


@settings(max_examples=150, deadline=None, derandomize=True)
@given(conditions)
def test_we_answer_as_cel_python_does(text):
    try:
        tree = check(text, SCOPE, want="bool").tree
    except CelErrors:
        assume(False)  # `[] == [1]` and its like need no second opinion
    found = compile_value(tree, {})(None)
    theirs = their_answer(text)
    assume(theirs is not None)
    assert ("failed" if isinstance(found, Failure) else found) == theirs
