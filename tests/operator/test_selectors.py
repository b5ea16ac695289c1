"""Label selectors, and node affinities that mean the same."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from watchkeeper_operator.selectors import MOST_TERMS, expressions, selects, terms_without

KEYS, VALUES = ["a", "b"], ["1", "2"]
LABELS = [{key: value for key, value in zip(KEYS, values, strict=True) if value} for values in product(["", *VALUES], repeat=2)]
REQUIREMENTS = st.one_of(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(KEYS),
            "operator": st.sampled_from(["In", "NotIn"]),
            "values": st.lists(st.sampled_from(VALUES), min_size=1, max_size=2, unique=True),
        }
    ),
    st.fixed_dictionaries({"key": st.sampled_from(KEYS), "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
)
SELECTORS = st.fixed_dictionaries(
    {},
    optional={
        "matchLabels": st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=2),
        "matchExpressions": st.lists(REQUIREMENTS, max_size=2),
    },
)


def scheduled(terms, labels):
    """As the scheduler reads a required node affinity: one term has to hold, and in it everything. (Kubernetes, nodeaffinity.)"""

    def meets(one):
        there, values = labels.get(one["key"]), one.get("values", [])
        return {"In": there in values, "NotIn": there not in values, "Exists": there is not None, "DoesNotExist": there is None}[one["operator"]]

    return any(all(map(meets, term)) for term in terms)


@given(SELECTORS)
def test_a_selector_selects_what_its_affinity_does(selector):
    for labels in LABELS:
        assert selects(selector, labels) == scheduled([expressions(selector)], labels)


@given(SELECTORS, st.lists(SELECTORS, max_size=2))
def test_an_older_sensor_keeps_its_nodes(selector, older):
    terms = terms_without(selector, older)
    for labels in LABELS:
        assert scheduled(terms, labels) == (selects(selector, labels) and not any(selects(one, labels) for one in older))


def test_terms_are_bounded():
    many = {"matchExpressions": [{"key": f"k{number}", "operator": "Exists"} for number in range(9)]}
    assert len(terms_without(None, [many])) == 9
    assert MOST_TERMS < 9**2
    assert terms_without(None, [many, many]) is None
