"""The one door to a cluster, and what its errors mean to a person: what is wrong, why, and what to do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from kubernetes.aio.config import ConfigException

from watchkeeper_cli.clustering.place import place_of
from watchkeeper_cli.ending import FAILED, UNREADABLE, CommandError
from watchkeeper_operator import kinds
from watchkeeper_operator.cluster import Cluster
from watchkeeper_operator.cluster_errors import ClusterError, Conflict, Forbidden, Invalid, Malformed, NotFound, Unauthenticated, Unavailable
from watchkeeper_operator.names import GROUP

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from watchkeeper_cli.clustering.place import Place
    from watchkeeper_operator.kinds import Resource

T = TypeVar("T")
INSTALL = "kubectl apply --server-side -k crds"


@dataclass(frozen=True, slots=True)
class Unread:
    """What could not be read, and why; never taken for something that is not there."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Door:
    """A cluster that was reached, and what of it is meant. `namespace`: that was asked for, None: all."""

    cluster: Cluster
    place: Place
    namespace: str | None

    async def all_of(self, resource: Resource, shape: type[T], *, namespace: str | None = None, fields: str | None = None) -> list[T] | Unread:
        """Objects of a kind, of one namespace or all. A kind of ours that the cluster does not serve ends the command."""
        try:
            return (await self.cluster.list(resource, shape, namespace=namespace, fields=fields))[0]
        except Forbidden as refused:
            if isinstance(refused, Unauthenticated):
                raise
            where = f" in namespace {namespace}" if namespace else " in all namespaces" if resource.namespaced else ""
            return Unread(resource.plural, f"you may not list {resource.plural}{where}")
        except NotFound:
            if resource.group == GROUP:
                raise CommandError(missing_kind(resource, self.place.name), UNREADABLE) from None
            return Unread(resource.plural, f"this API server has no {resource.api_version} {resource.plural}")

    async def allowed_of(self, resource: Resource, shape: type[T]) -> tuple[list[T] | Unread, str]:
        """Objects of a kind, and a note: whoever may not read all namespaces is shown those of their own."""
        found = await self.all_of(resource, shape, namespace=self.namespace)
        if not isinstance(found, Unread) or self.namespace is not None or not resource.namespaced:
            return found, ""
        own = await self.all_of(resource, shape, namespace=self.place.namespace)
        if isinstance(own, Unread):
            return own, ""
        return own, f"{found.why}: shown are those of namespace {self.place.namespace} (--namespace names another)"

    async def one(self, resource: Resource, shape: type[T], name: str, *, namespace: str | None = None) -> T | Unread | None:
        """None where there is none."""
        try:
            return await self.cluster.get(resource, shape, name, namespace=namespace)
        except NotFound:
            return None
        except Forbidden as refused:
            if isinstance(refused, Unauthenticated):
                raise
            return Unread(f"{resource.plural}/{name}", f"you may not get {resource.plural}/{name}{f' in namespace {namespace}' if namespace else ''}")

    async def whoami(self) -> str:
        """The user's name, as the API server knows it."""
        answer: dict[str, Any] = await self.cluster.create(kinds.SELF_SUBJECT_REVIEWS, {})
        return msgspec.convert(answer, Reviewed).status.user_info.username


class UserInfo(msgspec.Struct, frozen=True):
    username: str = ""


class ReviewStatus(msgspec.Struct, frozen=True, rename="camel"):
    user_info: UserInfo = UserInfo()


class Reviewed(msgspec.Struct, frozen=True):
    status: ReviewStatus = ReviewStatus()


def during(kubeconfig: Path | None, context: str | None, namespace: str | None, act: Callable[[Door], Awaitable[T]]) -> T:
    """What `act` makes of the cluster. Ends the command when there is none, or it does not let us."""
    place = place_of(kubeconfig, context)

    async def run() -> T:
        async with Cluster.connect(place.kubeconfig, context=place.context or None) as cluster:
            return await act(Door(cluster, place, namespace))

    try:
        return asyncio.run(run())
    except ConfigException as trouble:
        raise CommandError(f"context {place.name} can't be used: {trouble}", UNREADABLE) from None
    except ClusterError as trouble:
        raise ended(trouble, place) from None
    except msgspec.ValidationError as trouble:
        raise ended(Malformed(str(trouble)), place) from None


def ended(trouble: ClusterError, place: Place) -> CommandError:
    """The last word of a command that an answer of the API server ended."""
    match trouble:
        case Unauthenticated():
            text = f"the cluster does not know you (context {place.name}): log in again, or name another --context"
        case Forbidden():
            text = f"you may not do this (context {place.name}); `kubectl auth can-i` says what you may, docs/kubectl.md what each command needs"
        case Unavailable():
            text = f"the API server does not answer (context {place.name}): is the cluster up, and may this machine reach it? `kubectl get --raw /readyz` asks the same"
        case Conflict():
            return CommandError(f"somebody else was faster, nothing was written: {trouble}", FAILED)
        case Invalid():
            return CommandError(f"the API server refuses it: {trouble}", FAILED)
        case _:
            text = f"the cluster gave an answer that can't be used (context {place.name})"
    return CommandError(text, UNREADABLE, (str(trouble),))


def missing_kind(resource: Resource, context: str) -> str:
    return f"Watchkeeper's kinds are not installed in this cluster (context {context}): it has no {resource.plural}.{resource.group}. {INSTALL} installs them"
