"""Macros at run time. All loops of one evaluation share a budget, so that no condition can hang on a crafted record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchkeeper_detection.cel.values import ABSENT, NO_VALUE, Absent, Failed, Failure, Map

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ITERATIONS = 10_000  # of all loops of one evaluation, nested ones included
_SPENT = Failure(f"the loops take more than {ITERATIONS} steps")
_NO_OVERLOAD = Failure("no such overload")


def _elements(over: Any) -> Sequence[Any] | None:
    """What a one-variable macro walks: elements of a list, keys of a map; None for anything else."""
    if over.__class__ is list:
        return [ABSENT if each is None else each for each in over] if None in over else over
    if over.__class__ is tuple:
        return over
    if over.__class__ is frozenset:
        return sorted(over)
    return list(over) if over.__class__ is dict or over.__class__ is Map else None


def _pairs(over: Any) -> Sequence[tuple[Any, Any]] | None:
    """What a two-variable macro walks: index and element, or key and value."""
    if over.__class__ is dict:
        return [(key, ABSENT if value is None else value) for key, value in over.items()]
    if over.__class__ is Map:
        return list(over.items())
    elements = _elements(over)
    return None if elements is None else list(enumerate(elements))


def some(budget: list[int], over: Any, test: Callable[..., bool], *, two: bool = False) -> bool:
    """Whether the test holds for an element; False where there is nothing to walk or the budget is spent."""
    if not over:  # most lists are not there or empty
        return False
    elements = _pairs(over) if two else _elements(over)
    if elements is None:
        return False
    budget[0] -= len(elements)
    if budget[0] < 0:
        return False
    if two:
        return any(test(*each) for each in elements)
    for each in elements:  # noqa: SIM110 (a loop calls it faster than any() does)
        if test(each):
            return True
    return False


def some_among(budget: list[int], over: Any, texts: frozenset[str]) -> bool:
    """`over.exists(each, each in texts)`."""
    if not over:
        return False
    elements = _elements(over)
    if elements is None:
        return False
    budget[0] -= len(elements)
    if budget[0] < 0:
        return False
    try:
        return not texts.isdisjoint(elements)
    except TypeError:  # a list or map among them, which equals no text
        return any(each.__class__ is str and each in texts for each in elements)


def every(budget: list[int], over: Any, test: Callable[..., bool], *, two: bool = False) -> bool:
    """Whether the test holds for all elements; False where there is nothing to walk or the budget is spent."""
    elements = _pairs(over) if two else _elements(over)
    if elements is None:
        return False
    budget[0] -= len(elements)
    if budget[0] < 0:
        return False
    return all(test(*each) for each in elements) if two else all(map(test, elements))


def _walked(budget: list[int], over: Any, *, two: bool) -> Any:
    """Tuples of arguments for the macro's expressions, or the Absent or Failure that the macro comes out as."""
    if over.__class__ in NO_VALUE:
        return over
    elements: Sequence[Any] | None = _pairs(over) if two else _elements(over)
    if elements is None:
        return _NO_OVERLOAD
    budget[0] -= len(elements)
    if budget[0] < 0:
        return _SPENT
    return elements if two else [(each,) for each in elements]


def exists(budget: list[int], over: Any, predicate: Callable[..., Any], *, two: bool = False) -> Any:
    return _quantified(_walked(budget, over, two=two), predicate, stop=True)


def every_value(budget: list[int], over: Any, predicate: Callable[..., Any], *, two: bool = False) -> Any:
    return _quantified(_walked(budget, over, two=two), predicate, stop=False)


def _quantified(walked: Any, predicate: Callable[..., Any], *, stop: bool) -> Any:
    if walked.__class__ in NO_VALUE:
        return walked
    trouble: Any = None
    for each in walked:
        held = predicate(*each)
        if held is stop:
            return stop
        if held.__class__ is not bool:
            trouble = worse(trouble, held)
    return (not stop) if trouble is None else trouble


def worse(one: Any, other: Any) -> Any:
    """Of two outcomes that are no bool the one to report: failures before absence."""
    other = other if other.__class__ in NO_VALUE else _NO_OVERLOAD
    return other if one is None or (one.__class__ is Absent and other.__class__ is Failure) else one


def exists_one(budget: list[int], over: Any, predicate: Callable[..., Any], *, two: bool = False) -> Any:
    kept = filtered(budget, over, predicate, two=two)
    return kept if kept.__class__ in NO_VALUE else len(kept) == 1


def filtered(budget: list[int], over: Any, predicate: Callable[..., Any], *, two: bool = False) -> Any:
    """Elements (keys) that the predicate holds for; absent does not hold, a failure fails the whole."""
    return transformed(budget, over, predicate, lambda *each: each[-1], two=two)


def transformed(budget: list[int], over: Any, predicate: Callable[..., Any] | None, result: Callable[..., Any], *, two: bool = False) -> Any:
    walked = _walked(budget, over, two=two)
    if walked.__class__ in NO_VALUE:
        return walked
    made = []
    for each in walked:
        held = True if predicate is None else predicate(*each)
        if held is True:
            value = result(*each)
            if value.__class__ in NO_VALUE:
                return value
            made.append(value)
        elif held.__class__ is not bool and held is not ABSENT:
            return worse(None, held)
    return tuple(made)


def transformed_map(budget: list[int], over: Any, predicate: Callable[..., Any] | None, result: Callable[..., Any], *, two: bool = True) -> Any:
    """`transformMap`: same keys, new values."""
    return _gathered(transformed(budget, over, predicate, lambda key, value: _entry(key, result(key, value)), two=two))


def transformed_entries(budget: list[int], over: Any, predicate: Callable[..., Any] | None, result: Callable[..., Any], *, two: bool = True) -> Any:
    """`transformMapEntry`: each element gives a map of its own; keys must not repeat."""
    made = transformed(budget, over, predicate, result, two=two)
    if made.__class__ in NO_VALUE:
        return made
    if not all(each.__class__ is dict or each.__class__ is Map for each in made):
        return _NO_OVERLOAD
    return _gathered(tuple(entry for each in made for entry in each.items()))


def _entry(key: Any, value: Any) -> Any:
    return value if value.__class__ in NO_VALUE else (key, value)


def _gathered(entries: Any) -> Any:
    if entries.__class__ in NO_VALUE:
        return entries
    made = Map()
    try:
        for key, value in entries:
            made.put(key, value)
    except Failed as failed:
        return Failure(str(failed))
    return made
