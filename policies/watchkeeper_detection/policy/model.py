"""What every kind has in common: strict models, rules across fields, keyed lists and sets, metadata, conditions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, StrictInt, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, core_schema

from watchkeeper_detection.policy.shapes import Instant, Name, Shape, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

GROUP = "watchkeeper.dev"
API_VERSION = f"{GROUP}/v1alpha1"
ROOT_NAMESPACE = "watchkeeper"
FOUND_ELSEWHERE = frozenset({"across", "repeated"})  # error types that `across.py` reports one by one, with their places


Number = Annotated[StrictInt, Field(ge=0, le=2**53)]  # what every reader of JSON holds exactly


@dataclass(frozen=True, slots=True)
class Across:
    """A rule across the fields of one object, said twice: to the API server in CEL, here over the fields as written."""

    cel: str
    message: str
    holds: Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Keyed:
    """A list whose entries are told apart: by a field (`name`: a list-map), or by their value (None: a set)."""

    by: str | None = None

    def repeated(self, entries: Any) -> list[tuple[int, object]]:
        """Position and key of each entry that stood before; entries of another type are for the field's own check."""
        seen: set[object] = set()
        found: list[tuple[int, object]] = []
        for position, entry in enumerate(entries):
            key = entry if self.by is None else _key(entry, self.by)
            if isinstance(key, str):
                if key in seen:
                    found.append((position, key))
                seen.add(key)
        return found

    def check(self, entries: Any) -> Any:
        if found := self.repeated(entries):
            raise PydanticCustomError("repeated", "{keys} more than once", {"keys": ", ".join(shown(key) for _, key in found)})
        return entries

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        words = {"x-kubernetes-list-type": "set"} if self.by is None else {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self.by]}
        return {**handler(schema), **words}


def _key(entry: object, by: str) -> object:
    return entry.get(by) if isinstance(entry, dict) else getattr(entry, by, None)


class Model(BaseModel):
    """Part of an object: unknown fields are refused, nothing changes after reading, names are camelCase in YAML."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)
    ACROSS: ClassVar[tuple[Across, ...]] = ()

    @model_validator(mode="after")
    def _hold_across(self) -> Self:
        fields = type(self).model_fields
        written = {fields[name].alias or name: getattr(self, name) for name in self.model_fields_set}
        if broken := [rule.message for rule in self.ACROSS if not rule.holds(written)]:
            raise PydanticCustomError("across", "{messages}", {"messages": "; ".join(broken)})
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        words = [{"rule": rule.cel, "message": rule.message} for rule in cls.ACROSS]
        made = handler(schema)
        if words:
            handler.resolve_ref_schema(made)["x-kubernetes-validations"] = words
        return made


@cache
def members(model: type[Model]) -> dict[str, tuple[type[Model] | None, Keyed | None]]:
    """Fields of a model as they are written in YAML: the model that a field (or its entries) is made of, and what keys its entries."""
    found = {}
    for name, field in model.model_fields.items():
        keyed = next((mark for mark in field.metadata if isinstance(mark, Keyed)), None)
        found[field.alias or name] = (_model_in(field.annotation), keyed)
    return found


def _model_in(annotation: Any) -> type[Model] | None:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part)) is not None), None)


class Metadata(Model):
    """Name, namespace and labels; what the API server adds is left unread."""

    UNREAD: ClassVar[frozenset[str]] = frozenset(
        {"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generateName"}
        | {"generation", "managedFields", "ownerReferences", "resourceVersion", "selfLink", "uid"}
    )

    name: Name
    namespace: Name = ROOT_NAMESPACE
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _leave_unread(cls, value: Any) -> Any:
        return {name: part for name, part in value.items() if name not in cls.UNREAD} if isinstance(value, dict) else value


class Condition(Model):
    """One thing that is or is not so about an object."""

    type: Annotated[str, Shape("a condition's type such as Accepted", 63, "[A-Za-z][A-Za-z0-9]*")] = Field(description="What is so or not: `Accepted`.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it is so.")
    reason: Annotated[str, Shape("a reason: one word in CamelCase", 63, "[A-Za-z][A-Za-z0-9]*")] = Field(description="Why, as one word for programs.")
    message: Annotated[str, Field(max_length=8192)] = Field(
        default="", description="Why, in words: for a policy that was not accepted, every error with its place and the nearest right name."
    )
    last_transition_time: Instant = Field(description="When `status` last changed.")
    observed_generation: Number | None = Field(default=None, description="The object's generation that this was said about.")


class Status(Model):
    """What Watchkeeper made of the object. Written by the operator only."""

    observed_generation: Number | None = Field(default=None, description="The object's generation that was last looked at.")
    epoch: Number | None = Field(
        default=None,
        description="Which leadership of the operator wrote this: `leaseTransitions` of its Lease at that time. "
        "The API server refuses what a leader of an earlier epoch writes late.",
    )
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16), Keyed("type")] = Field(
        default=(),
        description="What is so and what is not, keyed by type. `Accepted` is False, with every error in its message, when the object can't be used; "
        "the last good revision then stays in force.",
    )


STATUS: Any = Field(default=None, description="What Watchkeeper made of the object; written by the operator only.")


class Resource(Model):
    """A whole Kubernetes object."""

    metadata: Metadata
    status: Status | None = STATUS

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace
