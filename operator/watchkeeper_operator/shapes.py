"""Parts of Kubernetes objects that many read: declare what you need of an object as a msgspec.Struct, and the rest is never decoded."""

from __future__ import annotations

from typing import Any

import msgspec


class OwnerReference(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False


class Metadata(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Times are RFC 3339 as the API server writes them. `managedFields` are left unread: they are most of many objects."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    creation_timestamp: str = ""
    deletion_timestamp: str = ""


class Named(msgspec.Struct, frozen=True):
    """Any object, as far as its metadata."""

    metadata: Metadata


class Object(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """An object of ours: spec and status as written."""

    metadata: Metadata
    spec: dict[str, Any] = {}
    status: dict[str, Any] = {}
