"""Who did what to what, from where, with what outcome: the normalised objects that every kind of event carries.

Absent is None; an empty text from a provider is absent too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from watchkeeper_detection.record_types import record_type

if TYPE_CHECKING:
    import msgspec

IdentityType = Literal["user", "service_account", "group", "node", "role", "root", "service", "federated", "anonymous", "unknown"]
OutcomeStatus = Literal["success", "denied", "failure", "unknown"]


class About(NamedTuple):
    """What a detection names: the `id` of each of these roots, the address of the origin."""

    actor: str | None
    identity: str | None
    target: str | None
    origin: str | None


_Identity = record_type("identity")
_Actor = record_type("actor")
_Action = record_type("action")
_Target = record_type("target")
_Outcome = record_type("outcome")
_Origin = record_type("origin")


def identity(id: str | None, type: IdentityType = "unknown") -> msgspec.Struct:  # noqa: A002 (names of the fields)
    """Who holds the credential: spelled the same whatever the source."""
    return _Identity(id=id or None, type=type)


def actor(id: str | None, *, name: str | None = None, account: str | None = None) -> msgspec.Struct:  # noqa: A002
    """Who did it, by the source's most exact name."""
    return _Actor(id=id or None, name=name or None, account=account or None)


def action(name: str | None) -> msgspec.Struct:
    """What was done, in the provider's word."""
    return _Action(name=name or None)


def target(*, type: str | None = None, name: str | None = None, namespace: str | None = None, id: str | None = None) -> msgspec.Struct:  # noqa: A002
    """What it was done to."""
    return _Target(type=type or None, name=name or None, namespace=namespace or None, id=id or None)


def outcome(status: OutcomeStatus, code: str | int | None = None) -> msgspec.Struct:
    """How it ended, and the provider's code for it."""
    return _Outcome(status=status, code=None if code is None or code == "" else str(code))


def origin(ip: str | None, user_agent: str | None = None) -> msgspec.Struct:
    """Where the request came from."""
    return _Origin(ip=ip or None, user_agent=user_agent or None)


def service_account(namespace: str, name: str) -> str:
    """Canonical id of a Kubernetes service account."""
    return f"system:serviceaccount:{namespace}:{name}"
