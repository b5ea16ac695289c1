"""The admission policies that we ship, and whether what a cluster has is the same: by digest, of what is said and not of what the API server fills in."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
FILLED_IN: dict[str, Any] = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}, "scope": "*", "failurePolicy": "Fail"}
"""Field → what the API server writes where it was left out. Source: admissionregistration.k8s.io/v1"""


class Name(NamedTuple):
    kind: str
    name: str


class GuardMetadata(msgspec.Struct, frozen=True):
    name: str


class Guard(msgspec.Struct, frozen=True):
    """A policy or binding as the API server has it."""

    metadata: GuardMetadata
    spec: dict[str, Any] = {}


def folder() -> Path:
    """Inside the package when installed from a wheel, in the tree otherwise."""
    packaged = Path(__file__).parent / "admission"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "manifests" / "base" / "admission"


def shipped() -> dict[Name, str]:
    """Digest of each."""
    found = {}
    for path in sorted(folder().glob("*.yaml")):
        for written in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if written and written.get("kind") in (POLICY, BINDING):
                found[Name(written["kind"], written["metadata"]["name"])] = digest(written["spec"])
    return found


def digest(spec: Mapping[str, Any]) -> str:
    """The same for what was written and for what the API server made of it."""
    return hashlib.sha256(msgspec.json.encode(_said(spec), order="deterministic")).hexdigest()


def _said(part: Any) -> Any:
    """Without fields that say what the API server would fill in."""
    if isinstance(part, dict):
        return {name: _said(value) for name, value in part.items() if name not in FILLED_IN or FILLED_IN[name] != value}
    return [_said(one) for one in part] if isinstance(part, list) else part


class Differences(NamedTuple):
    """Names of what is not there, and of what says something else."""

    missing: tuple[Name, ...]
    changed: tuple[Name, ...]


def differences(expected: Mapping[Name, str], policies: Iterable[Guard], bindings: Iterable[Guard]) -> Differences:
    """Others' policies are not looked at."""
    found = {Name(kind, one.metadata.name): digest(one.spec) for kind, guards in ((POLICY, policies), (BINDING, bindings)) for one in guards}
    missing = tuple(name for name in expected if name not in found)
    return Differences(missing, tuple(name for name, said in expected.items() if name in found and found[name] != said))
