"""Policies of the feed, checked again by the checker that the operator has: what comes out is data, and what is wrong is named.

Run apart (apart.py): the running sensor holds no parser of policies and no pydantic.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.node_wire import NotInForce

if TYPE_CHECKING:
    from watchkeeper_detection.policy_loading import Document

REASON_CHARACTERS = 300
MOST_REASONS = 200


class Given(msgspec.Struct, frozen=True):
    """As NodeFeed has them."""

    policies: tuple[dict[str, Any], ...]
    exceptions: tuple[dict[str, Any], ...]
    lists: tuple[dict[str, Any], ...]


class Checked(msgspec.Struct, frozen=True):
    """`program`: bytes of `program.encode`, narrowed to what a kernel may tell."""

    program: bytes
    not_in_force: tuple[NotInForce, ...]


def checked(given: Given) -> Checked:
    from watchkeeper_detection.checking import check_policies  # noqa: PLC0415 (only where it is run)
    from watchkeeper_detection.program import encode, narrowed_to  # noqa: PLC0415
    from watchkeeper_detection.vocabulary import kernel  # noqa: PLC0415

    names = {_metadata(one).get("name") for one in given.policies}
    exceptions = [one for one in given.exceptions if _is_about(one, names)]
    documents: list[Document] = []
    out: list[NotInForce] = []
    for kind, objects in (("PolicyList", given.lists), ("RuntimePolicy", given.policies), ("PolicyException", exceptions)):
        for written in objects:
            _read(kind, written, documents, out)
    made = check_policies(documents)
    for one in made.errors:
        name = one.file.removesuffix(".json")
        out.append(NotInForce(policy=f"{name}/{one.rule}" if one.rule else name, reason=_cut(f"{one.path}: {one.reason}")))
    program = narrowed_to(made.program, {kind.name for kind in kernel.KINDS})
    return Checked(encode(program), tuple(dict.fromkeys(out))[:MOST_REASONS])


def _read(kind: str, written: dict[str, Any], documents: list[Document], out: list[NotInForce]) -> None:
    """Each by itself, so that one that is wrong is no other's trouble; it is told without kind and version, which the feed's order says."""
    from watchkeeper_detection.policy.model import API_VERSION  # noqa: PLC0415
    from watchkeeper_detection.policy_loading import load_policies  # noqa: PLC0415

    name = f"{_metadata(written).get('namespace', '')}/{_metadata(written).get('name', '')}"
    whole = {"apiVersion": API_VERSION, "kind": kind, "metadata": written.get("metadata"), "spec": written.get("spec")}
    loaded = load_policies(msgspec.json.encode(whole), f"{name}.json")
    documents += loaded.documents
    out += [NotInForce(policy=name, reason=_cut(f"{one.path}: {one.reason}")) for one in loaded.errors[:1]]


def _metadata(written: dict[str, Any]) -> dict[str, Any]:
    found = written.get("metadata")
    return found if isinstance(found, dict) else {}


def _is_about(exception: dict[str, Any], names: set[Any]) -> bool:
    """Whether it is about a policy that is told: one that can't match here is not, and its exceptions are no mistake."""
    spec = exception.get("spec")
    return not isinstance(spec, dict) or spec.get("policy") in names


def _cut(reason: str) -> str:
    return reason if len(reason) <= REASON_CHARACTERS else f"{reason[:REASON_CHARACTERS]}…"


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.msgpack.encode(checked(msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Given))))
