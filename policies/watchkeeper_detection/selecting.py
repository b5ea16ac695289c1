"""Label selectors of a policy's scope, as conditions: what they select is asked of the event's own labels.

A pod whose labels nobody has told within the time that late fields have is not selected by what it must have, and is by what it must not have: rather one
detection too many than a pod that nobody watches. Where an event belongs to no pod, no selector of pods covers it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_detection.policy import RuntimePolicy
    from watchkeeper_detection.policy.runtime_policy import LabelSelector


class Selecting(NamedTuple):
    """`root`: that an event must have to be asked; `condition`: CEL."""

    selector: str
    root: str
    condition: str


def selecting(policy: RuntimePolicy) -> tuple[Selecting, ...]:
    """One for each selector that leaves something out."""
    scope = policy.spec.scope
    if scope is None:
        return ()
    asked = (("podSelector", "pod", "pod.uid", scope.pod_selector), ("nodeSelector", "node", "node.name", scope.node_selector))
    found = []
    for name, root, identity, selector in asked:
        parts = list(_parts(selector, f"{root}.labels")) if selector else []
        if parts:
            found.append(Selecting(name, root, " && ".join([f'{identity} != ""', *parts])))
    return tuple(found)


def _parts(selector: LabelSelector, labels: str) -> Iterator[str]:
    for key, value in sorted(selector.match_labels.items()):
        yield f"{_text(key)} in {labels} && {labels}[{_text(key)}] == {_text(value)}"
    for one in selector.match_expressions:
        has = f"{_text(one.key)} in {labels}"
        among = f"{labels}[{_text(one.key)}] in [{', '.join(map(_text, one.values))}]"
        match one.operator:
            case "In":
                yield f"{has} && {among}"
            case "NotIn":
                yield f"!({has} && {among})"
            case "Exists":
                yield has
            case "DoesNotExist":
                yield f"!({has})"


def _text(text: str) -> str:
    """Labels are letters, digits and `-_./`: JSON writes them as CEL does."""
    return msgspec.json.encode(text).decode()
