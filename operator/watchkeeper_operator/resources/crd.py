"""Writes the CRDs from the models: `python -m watchkeeper_operator.resources.crd crds/`, with `--check` only compares."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from watchkeeper_detection.policy import GROUP
from watchkeeper_operator.resources.kinds import KINDS
from watchkeeper_operator.resources.structural import Schema, structural

if TYPE_CHECKING:
    from watchkeeper_detection.policy import Resource
    from watchkeeper_operator.resources.kinds import Kind

HEADER = "# Generated from the models by `make crds`; edit the models instead.\n"


def definition(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind; raises NotStructuralError."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}", "labels": {"app.kubernetes.io/part-of": "watchkeeper"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short],
                "categories": ["watchkeeper"],
            },
            "versions": [_version(kind)],
        },
    }


def _version(kind: Kind) -> dict[str, Any]:
    selectable = {"selectableFields": [{"jsonPath": path} for path in kind.selectable]} if kind.selectable else {}
    return {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {"name": column.name, "type": column.type, "jsonPath": column.path, **({"priority": 1} if column.wide else {})} for column in kind.columns
        ],
        **selectable,
        "schema": {"openAPIV3Schema": resource_schema(kind.model)},
    }


def resource_schema(model: type[Resource]) -> Schema:
    """Schema of a whole object: the API server itself knows apiVersion, kind and metadata, of which only the name may be narrowed."""
    made = model.model_json_schema(by_alias=True)
    definitions = made["$defs"]
    metadata = definitions[made["properties"].pop("metadata")["$ref"].removeprefix("#/$defs/")]
    name = structural(metadata["properties"]["name"], definitions, f"{model.__name__}.metadata.name")
    known: Schema = {word: {"type": "string"} for word in ("apiVersion", "kind")} | {"metadata": {"type": "object", "properties": {"name": name}}}
    del made["properties"]["apiVersion"], made["properties"]["kind"]
    schema = structural(made, definitions, model.__name__)
    return {**schema, "properties": known | schema["properties"], "required": ["metadata", "spec"]}


def render() -> dict[str, str]:
    """File name → text of everything in `crds/`."""
    files = {f"{kind.name.lower()}.yaml": HEADER + _yaml(definition(kind)) for kind in KINDS}
    kustomization = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": sorted(files)}
    return {**files, "kustomization.yaml": HEADER + _yaml(kustomization)}


def _yaml(value: dict[str, Any]) -> str:
    return yaml.dump(value, Dumper=_PlainDumper, sort_keys=False, width=120, allow_unicode=True)


class _PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (the base class's signature)
        return True


def differing(folder: Path, files: dict[str, str]) -> list[str]:
    """Names of files in the folder that are not what the models say, or that the models don't know."""
    present = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.yaml")}
    return sorted(name for name in present.keys() | files.keys() if present.get(name) != files.get(name))


def main() -> int:
    parser = argparse.ArgumentParser(prog="crd", description="Write the CRDs from the models.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is not current")
    arguments = parser.parse_args()
    files = render()
    stale = differing(arguments.folder, files)
    if arguments.check:
        for name in stale:
            sys.stderr.write(f"{arguments.folder / name} is not what the models say: run `make crds`\n")
        return 1 if stale else 0
    for name in stale:
        if name in files:
            (arguments.folder / name).write_text(files[name], encoding="utf-8")
        else:
            (arguments.folder / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
