"""CRDs are what the models say, and refuse what the models refuse.

Here the schema is judged by jsonschema, with the API server's own words (list types, CEL validations, strict fields) added;
that the API server's own code agrees was seen with apiextensions-apiserver 0.34.1 on this same table.
"""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import celpy
import jsonschema
import pytest
import re2
import yaml
from pydantic import BaseModel, ConfigDict, Field
from tests.support.policy_objects import ACCEPTED, REFUSED

from watchkeeper_operator.resources.conditions import TYPES
from watchkeeper_operator.resources.crd import definition, differing, render
from watchkeeper_operator.resources.kinds import KINDS
from watchkeeper_operator.resources.structural import NotStructuralError, structural

CRDS = Path(__file__).parents[3] / "crds"


# --- the API server's words for jsonschema -----------------------------------------------------------------------------


def fields_are_known(_validator, properties, instance, schema):
    if isinstance(instance, dict) and "additionalProperties" not in schema and schema is not METADATA:
        for name in instance.keys() - properties.keys():
            yield jsonschema.ValidationError(f"unknown field {name}")


def entries_are_told_apart(_validator, kind, instance, schema):
    if isinstance(instance, list) and kind in ("set", "map"):
        keys = [repr(entry if kind == "set" else [entry.get(key) for key in schema["x-kubernetes-list-map-keys"]]) for entry in instance]
        if len(set(keys)) < len(keys):
            yield jsonschema.ValidationError("repeated entry")


@cache
def program_of(rule):
    environment = celpy.Environment()
    return environment.program(environment.compile(rule))


def as_cel(instance, schema):
    made = celpy.json_to_cel(instance)
    for name, part in schema.get("properties", {}).items():
        if part.get("format") == "date-time" and isinstance(instance.get(name), str):
            made[name] = celpy.celtypes.TimestampType(instance[name])
    return made


def validations_hold(_validator, rules, instance, schema):
    for rule in [one for one in rules if "oldSelf" not in one["rule"]] if isinstance(instance, dict) else []:
        try:
            held = program_of(rule["rule"]).evaluate({"self": as_cel(instance, schema)})
        except (celpy.CELEvalError, ValueError):
            held = False  # the API server refuses then too; the object is wrong in other ways
        if not held:
            yield jsonschema.ValidationError(rule["message"])


def text_matches(_validator, pattern, instance, _schema):
    """By the API server's own kind of expression: a vertical tab is no space to it."""
    if isinstance(instance, str) and re2.search(pattern, instance) is None:
        yield jsonschema.ValidationError("does not match")


def properties_too(validator, properties, instance, schema):
    yield from jsonschema.Draft202012Validator.VALIDATORS["properties"](validator, properties, instance, schema)
    yield from fields_are_known(validator, properties, instance, schema)


ApiServer = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {"pattern": text_matches, "properties": properties_too, "x-kubernetes-list-type": entries_are_told_apart, "x-kubernetes-validations": validations_hold},
)
SCHEMAS = {kind.name: definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for kind in KINDS}
METADATA = {"type": "object"}


def refusals(thing):
    schema = SCHEMAS[thing["kind"]]
    name = schema["properties"]["metadata"]["properties"]["name"]
    body = {**schema, "properties": schema["properties"] | {"metadata": METADATA}}
    found = [error.message for error in ApiServer(body).iter_errors(thing)]
    return found + [error.message for error in ApiServer(name).iter_errors(thing["metadata"]["name"])]


@pytest.mark.parametrize("sentence", ACCEPTED)
def test_accepts(sentence):
    assert refusals(ACCEPTED[sentence]) == []


@pytest.mark.parametrize("sentence", REFUSED)
def test_refuses(sentence):
    assert refusals(REFUSED[sentence][0])


# --- the files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", render())
def test_the_committed_file_is_what_the_models_say(name):
    assert (CRDS / name).read_text(encoding="utf-8") == render()[name]


def test_no_other_file_lies_beside_them():
    assert {path.name for path in CRDS.glob("*.yaml")} == set(render())


def test_check_names_what_is_stale_missing_or_left_over(tmp_path):
    (tmp_path / "stale.yaml").write_text("old")
    (tmp_path / "left-over.yaml").write_text("old")
    (tmp_path / "current.yaml").write_text("new")
    assert differing(tmp_path, {"stale.yaml": "new", "current.yaml": "new", "missing.yaml": "new"}) == ["left-over.yaml", "missing.yaml", "stale.yaml"]


def test_the_command_writes_and_then_agrees(tmp_path):
    command = [sys.executable, "-m", "watchkeeper_operator.resources.crd", str(tmp_path)]
    stale = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False)
    assert stale.returncode == 1
    assert "run `make crds`" in stale.stderr
    subprocess.run(command, check=True)
    assert subprocess.run([*command, "--check"], check=False).returncode == 0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_has_a_status_a_category_a_short_name_and_columns_of_its_conditions(kind):
    spec = definition(kind)["spec"]
    version = spec["versions"][0]
    assert version["subresources"] == {"status": {}}
    assert spec["names"]["categories"] == ["watchkeeper"]
    assert len(spec["names"]["shortNames"]) == 1
    shown = {column["jsonPath"] for column in version["additionalPrinterColumns"]}
    assert shown & {f'.status.conditions[?(@.type=="{type_}")].status' for type_ in TYPES[kind.name]}


def test_short_names_and_plurals_are_told_apart():
    names = [name for kind in KINDS for name in (kind.short, kind.plural)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_is_shown_or_selected_by_is_a_field_of_the_schema(kind):
    known = {path for path, _ in parts(SCHEMAS[kind.name])}
    for path in [*kind.selectable, *(column.path for column in kind.columns)]:
        assert path.split("[?")[0] in known | {".metadata.creationTimestamp"}, path
    assert len(kind.selectable) <= 8


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_belongs_to_the_whole_cluster_lies_in_no_namespace(kind):
    assert definition(kind)["spec"]["scope"] == ("Cluster" if kind.name in ("Sensor", "NodeSensor", "LogSource") else "Namespaced")


def parts(schema, path=""):
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from parts(part, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if word in schema:
            yield from parts(schema[word], f"{path}[]")


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_text_list_and_map_is_bounded(kind):
    for path, schema in parts(SCHEMAS[kind]):
        if path in (".apiVersion", ".kind"):
            continue
        bounds = {"string": {"maxLength", "enum"}, "array": {"maxItems"}, "object": {"maxProperties", "properties"}}.get(schema["type"])
        assert bounds is None or bounds & schema.keys(), path


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_field_is_described(kind):
    undescribed = [path for path, schema in parts(SCHEMAS[kind]) if not path.endswith("[]") and "description" not in schema]
    assert [path for path in undescribed if path.startswith((".spec", ".status"))] == []


@pytest.mark.parametrize("path", [".rules", ".rules[].unless", ".rules[].sequence.steps"])
def test_entries_that_patches_name_are_keyed_by_name(path):
    schema = dict(parts(SCHEMAS["RuntimePolicy"]["properties"]["spec"]))[path]
    assert schema["x-kubernetes-list-type"] == "map"
    assert schema["x-kubernetes-list-map-keys"] == ["name"]


def test_on_is_quoted_in_the_yaml_lest_it_be_read_as_true():
    rule = yaml.safe_load(render()["runtimepolicy.yaml"])["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["rules"][
        "items"
    ]
    assert "on" in rule["properties"]


# --- what the generator refuses ----------------------------------------------------------------------------------------


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Open(BaseModel):
    a: int


class Holds(Strict):
    below: "Holds | None" = None


class Nameless(Strict):
    name: Annotated[str, Field(max_length=9)] = "a"


def a_model(annotation: Any, *, base: type[BaseModel] = Strict) -> type[BaseModel]:
    return type("Made", (base,), {"__annotations__": {"field": annotation}, "__module__": __name__})


Short = Annotated[str, Field(max_length=9)]

NOT_STRUCTURAL = {
    "a union": (int | bool, "a union"),
    "a tuple": (Annotated[tuple[int, bool], Field(max_length=2)], "can't stand in a structural schema"),
    "an exclusive bound": (Annotated[int, Field(gt=0)], "exclusiveMinimum can't stand"),
    "anything": (Any, "has no type"),
    "an open object": (Open, "an open object"),
    "an open mapping": (Annotated[dict[str, Any], Field(max_length=4)], "an open object"),
    "a text without bound": (str, "a string without maxLength"),
    "a list without bound": (list[int], "a list without maxItems"),
    "a list of texts without bound": (Annotated[list[str], Field(max_length=4)], "a string without maxLength"),
    "a map without bound": (dict[str, int], "a map without maxProperties"),
    "a set of objects": (Annotated[frozenset[Strict], Field(max_length=4)], "a set of objects"),
    "a list keyed by what entries need not have": (
        Annotated[list[Nameless], Field(max_length=4, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]})],
        "which they need not have",
    ),
    "an object that holds itself": (Holds, "does one hold itself?"),
}


@pytest.mark.parametrize("sentence", NOT_STRUCTURAL)
def test_the_generator_refuses(sentence):
    annotation, words = NOT_STRUCTURAL[sentence]
    made = a_model(annotation).model_json_schema()
    with pytest.raises(NotStructuralError, match=words.replace("?", r"\?")):
        structural(made, made.get("$defs", {}), "Made")


def test_the_generator_names_the_field_that_is_not_structural():
    made = a_model(list[int]).model_json_schema()
    with pytest.raises(NotStructuralError, match=r"^Made\.field: "):
        structural(made, {}, "Made")


def test_what_may_be_none_is_optional_and_not_null():
    made = a_model(Short | None).model_json_schema()
    assert structural(made, {}, "Made")["properties"]["field"] == {"maxLength": 9, "type": "string"}


def test_a_set_is_a_set_to_kubernetes():
    made = a_model(Annotated[frozenset[Short], Field(max_length=4)]).model_json_schema()
    field = structural(made, {}, "Made")["properties"]["field"]
    assert field == {"items": {"maxLength": 9, "type": "string"}, "maxItems": 4, "type": "array", "x-kubernetes-list-type": "set"}
