"""Parts of Kubernetes' own objects that say how our processes do."""

from __future__ import annotations

import msgspec

from watchkeeper_cli.clustering.shapes import Conditions, Texts
from watchkeeper_operator.shapes import Metadata


class EnvironmentVariable(msgspec.Struct, frozen=True):
    """`value` is empty where it comes from elsewhere, such as a Secret."""

    name: str
    value: str = ""


class Container(msgspec.Struct, frozen=True):
    name: str = ""
    image: str = ""
    env: tuple[EnvironmentVariable, ...] = ()
    args: Texts = ()


class PodSpec(msgspec.Struct, frozen=True):
    containers: tuple[Container, ...] = ()


class Template(msgspec.Struct, frozen=True):
    spec: PodSpec = PodSpec()


class DeploymentSpec(msgspec.Struct, frozen=True):
    replicas: int = 1
    template: Template = Template()


class DeploymentStatus(msgspec.Struct, frozen=True, rename="camel"):
    ready_replicas: int = 0
    conditions: Conditions = ()


class Deployment(msgspec.Struct, frozen=True):
    metadata: Metadata
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class LeaseSpec(msgspec.Struct, frozen=True, rename="camel"):
    holder_identity: str = ""
    lease_transitions: int = 0
    acquire_time: str = ""
    renew_time: str = ""


class Lease(msgspec.Struct, frozen=True):
    spec: LeaseSpec = LeaseSpec()


class ConfigMap(msgspec.Struct, frozen=True):
    metadata: Metadata
    data: dict[str, str] = {}


class Waiting(msgspec.Struct, frozen=True):
    reason: str = ""
    message: str = ""


class ContainerState(msgspec.Struct, frozen=True):
    waiting: Waiting | None = None


class ContainerStatus(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    restart_count: int = 0
    state: ContainerState = ContainerState()


class PodStatus(msgspec.Struct, frozen=True, rename="camel"):
    phase: str = ""
    conditions: Conditions = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(msgspec.Struct, frozen=True):
    metadata: Metadata
    status: PodStatus = PodStatus()


class Version(msgspec.Struct, frozen=True, rename="camel"):
    git_version: str = ""
    major: str = ""
    minor: str = ""


class ApiGroup(msgspec.Struct, frozen=True):
    name: str


class ApiGroups(msgspec.Struct, frozen=True):
    groups: tuple[ApiGroup, ...] = ()
