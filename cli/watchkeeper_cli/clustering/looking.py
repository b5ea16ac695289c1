"""What `kubectl watchkeeper doctor` reads of a cluster, beyond what `status` does. Nothing is written, no Secret is read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_cli.clustering.door import Unread
from watchkeeper_cli.clustering.facts import Facts, gather
from watchkeeper_cli.clustering.processes import ApiGroups, ConfigMap, Pod, Version
from watchkeeper_operator import kinds
from watchkeeper_operator.cluster_errors import Forbidden, Unauthenticated
from watchkeeper_operator.names import CA_BUNDLE, SYSTEM_NAMESPACE
from watchkeeper_operator.rbac.shapes import Binding, Role
from watchkeeper_operator.shipped_admission import Guard

if TYPE_CHECKING:
    from watchkeeper_cli.clustering.door import Door


class DefinitionMetadata(msgspec.Struct, frozen=True):
    name: str


class Definition(msgspec.Struct, frozen=True):
    """A CustomResourceDefinition."""

    metadata: DefinitionMetadata
    spec: dict[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """`facts`: what `status` reads; None where our kinds are not there."""

    context: str
    version: Version
    groups: tuple[str, ...]
    definitions: list[Definition] | Unread
    policies: list[Guard] | Unread
    bindings: list[Guard] | Unread
    pods: list[Pod] | Unread
    bundle: ConfigMap | Unread | None
    roles: list[Role] | Unread
    cluster_roles: list[Role] | Unread
    role_bindings: list[Binding] | Unread
    cluster_role_bindings: list[Binding] | Unread
    facts: Facts | None


async def look(door: Door) -> Looked:
    """Raises ClusterError when the cluster can't be asked at all."""
    version = msgspec.json.decode(await door.cluster.read("/version"), type=Version)
    groups = await _groups(door)
    installed, admission, rights = await asyncio.gather(_installed(door), _admission(door), _rights(door))
    definitions, pods, bundle = installed
    policies, bindings = admission
    roles, cluster_roles, role_bindings, cluster_role_bindings = rights
    return Looked(
        context=door.place.name,
        version=version,
        groups=groups,
        definitions=definitions,
        policies=policies,
        bindings=bindings,
        pods=pods,
        bundle=bundle,
        roles=roles,
        cluster_roles=cluster_roles,
        role_bindings=role_bindings,
        cluster_role_bindings=cluster_role_bindings,
        facts=await gather(door) if kinds.RUNTIME_POLICIES.group in groups else None,
    )


async def _groups(door: Door) -> tuple[str, ...]:
    """Of kinds that the API server has."""
    try:
        return tuple(one.name for one in msgspec.json.decode(await door.cluster.read("/apis"), type=ApiGroups).groups)
    except Unauthenticated:
        raise
    except Forbidden:  # whoever may list no groups is told by each kind
        return (kinds.RUNTIME_POLICIES.group,)


async def _installed(door: Door) -> tuple[list[Definition] | Unread, list[Pod] | Unread, ConfigMap | Unread | None]:
    return await asyncio.gather(
        door.all_of(kinds.CUSTOM_RESOURCE_DEFINITIONS, Definition),
        door.all_of(kinds.PODS, Pod, namespace=SYSTEM_NAMESPACE),
        door.one(kinds.CONFIG_MAPS, ConfigMap, CA_BUNDLE, namespace=SYSTEM_NAMESPACE),
    )


async def _admission(door: Door) -> tuple[list[Guard] | Unread, list[Guard] | Unread]:
    return await asyncio.gather(door.all_of(kinds.VALIDATING_POLICIES, Guard), door.all_of(kinds.VALIDATING_POLICY_BINDINGS, Guard))


async def _rights(door: Door) -> tuple[list[Role] | Unread, list[Role] | Unread, list[Binding] | Unread, list[Binding] | Unread]:
    return await asyncio.gather(
        door.all_of(kinds.ROLES, Role),
        door.all_of(kinds.CLUSTER_ROLES, Role),
        door.all_of(kinds.ROLE_BINDINGS, Binding),
        door.all_of(kinds.CLUSTER_ROLE_BINDINGS, Binding),
    )
