"""JSON schema that pydantic makes of a model → the structural schema that a CRD needs.

By a list of what is allowed: what is not understood, not bounded or not structural is refused, so that a model can't
promise what the API server would not keep.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

DROPPED = frozenset({"title", "additionalProperties", "uniqueItems", "const", "anyOf", "$ref", "$defs"})
KEPT = {
    "string": frozenset({"enum", "format", "maxLength", "minLength", "pattern"}),
    "integer": frozenset({"enum", "format", "maximum", "minimum"}),
    "boolean": frozenset({"enum"}),
    "array": frozenset({"items", "maxItems", "minItems", "x-kubernetes-list-map-keys", "x-kubernetes-list-type"}),
    "object": frozenset({"maxProperties", "minProperties", "properties", "required"}),
}
DEEPEST = 20
ANYWHERE = frozenset({"default", "description", "type", "x-kubernetes-validations"})


class NotStructuralError(Exception):
    """A model says something that a CRD can't: the field's path and what is wrong with it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


def structural(schema: Schema, definitions: dict[str, Schema], path: str) -> Schema:
    """The schema with everything below it, references inlined; raises NotStructuralError."""
    if path.count(".") > DEEPEST:
        raise NotStructuralError(path, "is deeper than any model: does one hold itself?")
    schema = _resolved(schema, definitions, path)
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in KEPT:
        raise NotStructuralError(path, f"has no type that a CRD knows ({kind!r})")
    if strange := sorted(schema.keys() - KEPT[kind] - ANYWHERE - DROPPED):
        raise NotStructuralError(path, f"{', '.join(strange)} can't stand in a structural schema")
    made = {word: schema[word] for word in schema if word in KEPT[kind] | ANYWHERE and not _is_empty_default(word, schema[word])}
    if "const" in schema:
        made["enum"] = [schema["const"]]
    if "description" in made:
        made["description"] = _paragraphs(made["description"])
    if kind == "string" and "enum" not in made and "maxLength" not in made:
        raise NotStructuralError(path, "a string without maxLength")
    if kind == "object":
        made |= _object(schema, definitions, path)
    if kind == "array":
        made |= _array(schema, definitions, path)
    return {word: made[word] for word in sorted(made, key=_order)}


def _resolved(schema: Schema, definitions: dict[str, Schema], path: str) -> Schema:
    """Without references and without `None`: what a field says itself comes before what its type says."""
    for _ in range(8):
        if "$ref" in schema:
            reference = schema["$ref"].removeprefix("#/$defs/")
            schema = {**definitions[reference], **{word: value for word, value in schema.items() if word != "$ref"}}
        elif "anyOf" in schema:
            choices = [choice for choice in schema["anyOf"] if choice != {"type": "null"}]
            if len(choices) != 1:
                raise NotStructuralError(path, "a union of several types")
            schema = {**choices[0], **{word: value for word, value in schema.items() if word != "anyOf"}}
        else:
            return schema
    raise NotStructuralError(path, "references without end")


def _object(schema: Schema, definitions: dict[str, Schema], path: str) -> Schema:
    values = schema.get("additionalProperties")
    if isinstance(values, dict):
        if "maxProperties" not in schema:
            raise NotStructuralError(path, "a map without maxProperties")
        return {"additionalProperties": structural(values, definitions, f"{path}.*")}
    if values is not False:
        raise NotStructuralError(path, "an open object (extra fields are not forbidden)")
    return {"properties": {name: structural(part, definitions, f"{path}.{name}") for name, part in schema.get("properties", {}).items()}}


def _array(schema: Schema, definitions: dict[str, Schema], path: str) -> Schema:
    if not isinstance(schema.get("items"), dict):
        raise NotStructuralError(path, "a list without one type of entry (a tuple?)")
    if "maxItems" not in schema:
        raise NotStructuralError(path, "a list without maxItems")
    items = structural(schema["items"], definitions, f"{path}[]")
    made: Schema = {"items": items, "x-kubernetes-list-type": "set" if schema.get("uniqueItems") else schema.get("x-kubernetes-list-type", "atomic")}
    keys = schema.get("x-kubernetes-list-map-keys", [])
    if unheld := [key for key in keys if key not in items.get("required", [])]:
        raise NotStructuralError(path, f"entries are keyed by {', '.join(unheld)}, which they need not have")
    if made["x-kubernetes-list-type"] == "set" and items["type"] in ("object", "array"):
        raise NotStructuralError(path, "a set of objects or lists")
    return made


def _is_empty_default(word: str, value: object) -> bool:
    """An empty default is the same as none, and would be written into every stored object."""
    return word == "default" and value in (None, "", [], {})


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _order(word: str) -> tuple[bool, str]:
    """Description first, then by name."""
    return word != "description", word
