"""Label selectors as objects have them, decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector, as it is written, selects what has these labels; none, or an empty one, selects all."""
    if not selector:
        return True
    exact = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in exact.items()) and all(_meets(one, labels) for one in selector.get("matchExpressions") or ())


def _meets(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = requirement["key"], requirement.get("values") or ()
    match requirement["operator"]:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def expressions(selector: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The selector as requirements of a node affinity; they mean the same there."""
    if not selector:
        return []
    exact = [{"key": key, "operator": "In", "values": [value]} for key, value in sorted((selector.get("matchLabels") or {}).items())]
    return exact + [
        {"key": one["key"], "operator": one["operator"]} | ({"values": list(one["values"])} if one.get("values") else {})
        for one in selector.get("matchExpressions") or ()
    ]


OPPOSITES = {"In": "NotIn", "NotIn": "In", "Exists": "DoesNotExist", "DoesNotExist": "Exists"}
MOST_TERMS = 64


def terms_without(selector: Mapping[str, Any] | None, others: Iterable[Mapping[str, Any] | None]) -> list[list[dict[str, Any]]] | None:
    """Terms, of which one has to hold, for what the selector selects and none of the others does; none where nothing can be left.

    None where that takes more than MOST_TERMS.
    """
    terms = [expressions(selector)]
    for other in others:
        opposites = [one | {"operator": OPPOSITES[one["operator"]]} for one in expressions(other)]
        terms = [[*term, opposite] for term in terms for opposite in opposites]
        if len(terms) > MOST_TERMS:
            return None
    return terms
