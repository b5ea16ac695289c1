"""Text of a file → policies, exceptions and lists, and everything that is wrong with them at once.

Never raises on what a text says: whatever can't be read is a PolicyError with file, line, path and reason.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pydantic import ValidationError

from watchkeeper_detection.policy.errors import PolicyError, meant, name_of, path_text, problems, rule_at
from watchkeeper_detection.policy.model import API_VERSION
from watchkeeper_detection.policy.policy_exception import PolicyException
from watchkeeper_detection.policy.policy_list import PolicyList
from watchkeeper_detection.policy.runtime_policy import RuntimePolicy
from watchkeeper_detection.policy.salvage import salvaged
from watchkeeper_detection.policy.shapes import shown
from watchkeeper_detection.yaml_text import Fault, Steps, TextError, Written, YamlReader, read_json, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PolicyObject = RuntimePolicy | PolicyException | PolicyList
KINDS: dict[str, type[PolicyObject]] = {"RuntimePolicy": RuntimePolicy, "PolicyException": PolicyException, "PolicyList": PolicyList}
MOST_ERRORS = 200  # of one file; what is left out is counted
KUSTOMIZE = "kustomize.config.k8s.io/"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object was written: for errors that are found later, such as those in its expressions.

    steps      path of the object in its document: `("items", 3)` in a List, else empty
    bare_keys  unquoted keys that kubectl takes for booleans, with their lines
    """

    file: str
    written: Any
    lines: Mapping[Steps, int] = field(default_factory=dict)
    steps: Steps = ()
    bare_keys: tuple[tuple[Steps, int], ...] = ()

    def line(self, steps: Steps) -> int | None:
        """1-based line of the part, or of the nearest part around it that has one."""
        whole = (*self.steps, *steps)
        return next((self.lines[whole[:length]] for length in range(len(whole), -1, -1) if whole[:length] in self.lines), None)

    def error(self, steps: Steps, reason: str, hint: str | None = None, *, line_of_text: int = 1) -> PolicyError:
        """An error at `("spec", "rules", 0, "when")`; `line_of_text` counts lines within the text that is there."""
        line = self.line(steps)
        metadata = self.written.get("metadata") if isinstance(self.written, dict) else None
        return PolicyError(
            policy=name_of(metadata),
            rule=rule_at(self.written, steps),
            path=path_text(self.written, steps),
            reason=reason,
            hint=hint,
            file=self.file,
            line=None if line is None else line + line_of_text - 1,
        )


@dataclass(frozen=True, slots=True)
class Document:
    """One object, and where it was written. Not `whole`: it had errors, and these parts of it had none."""

    object: PolicyObject
    place: Place
    whole: bool = True


class Loaded(NamedTuple):
    documents: list[Document]
    errors: list[PolicyError]


def load_policies(source: str | bytes, file: str) -> Loaded:
    """Objects of a YAML text of one or more documents (of one JSON value when the file's name ends in .json).

    A `List` is taken apart; kustomization files and empty documents are passed over. An object with any error is left out.
    """
    loaded = Loaded([], [])
    try:
        text = text_of(source)
        for written in [read_json(text)] if file.endswith(".json") else _yaml_documents(text):
            for place, faults in _objects(written, file):
                loaded.errors.extend(islice(_read_object(place, faults, loaded.documents), MOST_ERRORS - len(loaded.errors)))
                _leave_room(loaded.errors)
    except TextError as refused:
        loaded.errors.append(PolicyError("", "", "", refused.reason, None, file, refused.line))
    return loaded


def salvage(source: str | bytes, file: str) -> list[Document]:
    """Of the objects that `load_policies` leaves out, what can still be checked, so that a user hears of all errors at once.

    Never to be put in force.
    """
    found: list[Document] = []
    try:
        text = text_of(source)
        for written in [read_json(text)] if file.endswith(".json") else _yaml_documents(text):
            for place, faults in _objects(written, file):
                kind = place.written.get("kind") if isinstance(place.written, dict) else None
                model = KINDS.get(kind) if isinstance(kind, str) else None
                if model is None or (not faults and not any(_read_object(place, faults, []))):
                    continue
                if (rest := salvaged(model, place.written)) is not None:
                    found.append(Document(cast("PolicyObject", rest), place, whole=False))
    except TextError:  # `load_policies` has said so
        pass
    return found


def _leave_room(errors: list[PolicyError]) -> None:
    if len(errors) >= MOST_ERRORS:
        raise TextError(f"has {MOST_ERRORS} errors or more: only the first are shown")


def _yaml_documents(text: str) -> Iterator[Written]:
    reader = YamlReader(text)
    while (written := reader.next()) is not None:
        yield written


def _objects(written: Written, file: str) -> Iterator[tuple[Place, list[Fault]]]:
    """The objects of a document, and what was wrong in reading each."""
    value = written.value
    if not (isinstance(value, dict) and value.get("kind") == "List" and isinstance(value.get("items"), list)):
        yield Place(file, value, written.lines, (), tuple(written.bare_keys)), written.faults
        return
    faults, bare_keys = defaultdict(list), defaultdict(list)
    for fault in written.faults:
        faults[fault[0][:2]].append(fault)
    for key, line in written.bare_keys:
        bare_keys[key[:2]].append((key[2:], line))
    for position, part in enumerate(value["items"]):
        steps = ("items", position)
        yield Place(file, part, written.lines, steps, tuple(bare_keys[steps])), faults[steps] + faults[()]


def _is_kustomization(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("apiVersion"), str) and value["apiVersion"].startswith(KUSTOMIZE)


def _read_object(place: Place, faults: list[Fault], documents: list[Document]) -> Iterator[PolicyError]:
    """Everything that is wrong with an object; one without errors is added to the documents."""
    for steps, reason, line in faults:
        yield replace(place.error(steps[len(place.steps) :], reason), line=line or None)
    value = place.written
    if (value is None and not faults) or _is_kustomization(value):
        return
    if not isinstance(value, dict):
        yield place.error((), f"{shown(value)} is not a Kubernetes object", f"it begins with apiVersion: {API_VERSION}")
        return
    kind = value.get("kind")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        reason = "is required" if kind is None else f"{shown(kind)} is not one of {', '.join(KINDS)}"
        yield place.error(("kind",), reason, meant(kind, KINDS) if isinstance(kind, str) else None)
        return
    try:
        found = model.model_validate(value)
    except ValidationError as refused:
        yield from (place.error(*problem) for problem in problems(model, value, refused))
        return
    wrong = [place.error(*problem) for problem in problems(model, value, None)]
    yield from wrong
    if not wrong and not faults:
        documents.append(Document(found, place))
