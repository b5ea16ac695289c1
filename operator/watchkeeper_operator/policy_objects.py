"""RuntimePolicies, PolicyExceptions and PolicyLists as the API server has them, cut to what decides: who they are and their spec."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from watchkeeper_detection.cel.tree import ListName
from watchkeeper_detection.policy.model import API_VERSION, ROOT_NAMESPACE
from watchkeeper_detection.policy_loading import Document, load_policies

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchkeeper_detection.policy.errors import PolicyError
    from watchkeeper_detection.program import Rule
    from watchkeeper_operator.shapes import Metadata

POLICY, EXCEPTION, LIST = "RuntimePolicy", "PolicyException", "PolicyList"


class Key(NamedTuple):
    kind: str
    namespace: str
    name: str

    @property
    def file(self) -> str:
        """The name by which errors say which object they are about."""
        return f"{self.kind}/{self.namespace}/{self.name}.json"


def key_of(file: str) -> Key:
    return Key(*file.removesuffix(".json").split("/"))


class Written(msgspec.Struct, frozen=True):
    """One revision of an object. `created`: RFC 3339; `spec`: as written, never changed by us."""

    key: Key
    uid: str
    generation: int
    created: str
    spec: dict[str, Any]

    @property
    def revision(self) -> tuple[str, int]:
        return self.uid, self.generation

    @property
    def body(self) -> dict[str, Any]:
        """As nodes are told it."""
        kind, namespace, name = self.key
        metadata = {"name": name, "namespace": namespace, "uid": self.uid, "generation": self.generation}
        return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": self.spec}


def written_of(kind: str, metadata: Metadata, spec: dict[str, Any]) -> Written:
    return Written(Key(kind, metadata.namespace, metadata.name), metadata.uid, metadata.generation, metadata.creation_timestamp, spec)


@dataclass(frozen=True, slots=True)
class Read:
    """What the language makes of a revision: a document, or everything that is wrong with how it is written."""

    written: Written
    document: Document | None
    errors: tuple[PolicyError, ...]


def read(written: Written) -> Read:
    loaded = load_policies(msgspec.json.encode(written.body), written.key.file)
    return Read(written, loaded.documents[0] if loaded.documents else None, tuple(loaded.errors))


def told(errors: Iterable[PolicyError]) -> str:
    """Every error with its place and what was probably meant, a line each; without the name of the object that they stand in."""
    return "\n".join(str(replace(error, policy="", file="", line=None)) for error in errors)


def lists_read(rules: Iterable[Rule]) -> Counter[tuple[str, str]]:
    """(namespace, CEL name) of lists → how many rules read them."""
    return Counter(where for rule in rules for where in {_place_of(name) for name in _list_names(rule)})


def _place_of(name: str) -> tuple[str, str]:
    """A program calls root's lists by their name, others by `namespace/name`."""
    namespace, slash, own = name.partition("/")
    return (namespace, own) if slash else (ROOT_NAMESPACE, name)


def _list_names(part: Any) -> Iterable[str]:
    if isinstance(part, ListName):
        yield part.name
    elif isinstance(part, tuple):
        for each in part:
            yield from _list_names(each)
    elif isinstance(part, msgspec.Struct):
        for name in part.__struct_fields__:
            yield from _list_names(getattr(part, name))
