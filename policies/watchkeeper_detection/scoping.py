"""What namespaces mean for policies: whose lists a policy reads, and whose exceptions count for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from watchkeeper_detection.cel.tree import ListName
from watchkeeper_detection.fields import nearest
from watchkeeper_detection.policy import ROOT_NAMESPACE, PolicyException, PolicyList, RuntimePolicy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from watchkeeper_detection.policy import PolicyError, Rule
    from watchkeeper_detection.policy_loading import Place

Named = tuple[str, str]  # namespace and name
T = TypeVar("T")


def list_name(name: str) -> str:
    """CEL name of a PolicyList: dashes are minus signs in CEL."""
    return name.replace("-", "_")


class Lists:
    """PolicyLists by the names that a program gives them: root's by their own, others' with their namespace before it."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[str, ...]] = {}
        self._of: dict[str, set[str]] = {ROOT_NAMESPACE: set()}

    def add(self, listed: PolicyList) -> None:
        """A later list of the same name replaces a shipped one."""
        name = list_name(listed.name)
        self._of.setdefault(listed.namespace, set()).add(name)
        self.values[name if listed.namespace == ROOT_NAMESPACE else f"{listed.namespace}/{name}"] = tuple(listed.spec.values)

    def seen_from(self, namespace: str) -> frozenset[str]:
        """Names that a policy of this namespace may read: its own and root's."""
        return frozenset(self._of[ROOT_NAMESPACE] | self._of.get(namespace, set()))

    def resolved(self, tree: T, namespace: str) -> T:
        """The tree (or a tuple or struct of trees) with its lists by the program's names: the namespace's own go before root's."""
        own = self._of.get(namespace, set())

        def renamed(part: Any) -> Any:
            if isinstance(part, tuple):
                return tuple(map(renamed, part))
            if isinstance(part, ListName) and part.name in own:
                return msgspec.structs.replace(part, name=f"{namespace}/{part.name}")
            if isinstance(part, msgspec.Struct):
                return msgspec.structs.replace(part, **{name: renamed(getattr(part, name)) for name in part.__struct_fields__})
            return part

        return tree if namespace == ROOT_NAMESPACE else cast("T", renamed(tree))


def _is_for(exception: PolicyException, policy: RuntimePolicy) -> bool:
    """A namespace's exception is for its own policies and root's, one of root for all."""
    return exception.spec.policy == policy.name and (ROOT_NAMESPACE in (exception.namespace, policy.namespace) or exception.namespace == policy.namespace)


def counts(exception: PolicyException, policy: RuntimePolicy, rule: Rule) -> bool:
    if not _is_for(exception, policy) or (exception.spec.rules and rule.name not in exception.spec.rules):
        return False
    if exception.namespace == ROOT_NAMESPACE:
        return True
    return (
        exception.spec.when is not None
        and exception.spec.until is not None
        and (policy.namespace != ROOT_NAMESPACE or policy.exceptions_of(rule) == "Namespaces")
    )


def dangling(policies: Mapping[Named, tuple[RuntimePolicy, Place]], exceptions: Sequence[tuple[PolicyException, Place]]) -> list[PolicyError]:
    """Exceptions for policies or rules that do not exist, or that take none of this namespace."""
    errors = []
    for exception, place in exceptions:
        asked = [policy for policy, _ in policies.values() if _is_for(exception, policy)]
        if not asked:
            seen = [name for namespace, name in policies if exception.namespace in (ROOT_NAMESPACE, namespace) or namespace == ROOT_NAMESPACE]
            hint = meant(exception.spec.policy, seen)  # of other namespaces' policies no name is told
            errors.append(place.error(("spec", "policy"), f"there is no policy {exception.spec.policy}", hint))
            continue
        names = [rule.name for policy in asked for rule in policy.spec.rules]
        errors += [
            place.error(("spec", "rules", number), f"policy {exception.spec.policy} has no rule {name}", meant(name, names))
            for number, name in enumerate(exception.spec.rules)
            if name not in names
        ]
        if (
            exception.namespace != ROOT_NAMESPACE
            and exception.spec.when is not None
            and exception.spec.until is not None
            and not any(counts(exception, one, rule) for one in asked for rule in one.spec.rules)
        ):
            errors.append(
                place.error(
                    ("spec", "policy"),
                    f"policy {exception.spec.policy} takes exceptions for these rules from namespace {ROOT_NAMESPACE} only",
                    "ask its owners for one",
                )
            )
    return errors


def not_for_namespaces(exceptions: Sequence[tuple[PolicyException, Place]]) -> list[PolicyError]:
    """What only root's exceptions may do or leave out."""
    errors = []
    for exception, place in exceptions:
        if exception.namespace == ROOT_NAMESPACE:
            continue
        if exception.spec.override is not None:
            errors.append(place.error(("spec", "override"), f"only an exception in namespace {ROOT_NAMESPACE} changes settings", "hold back with when"))
        elif exception.spec.until is None:
            errors.append(place.error(("spec",), f"an exception in namespace {exception.namespace} needs an end", "add until, at most 90 days away"))
    return errors


def meant(name: str, candidates: Iterable[str]) -> str | None:
    found = nearest(name, candidates)
    return f"did you mean {found}?" if found else None
