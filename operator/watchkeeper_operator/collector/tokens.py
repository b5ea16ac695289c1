"""A sensor's token: whose it is. First by what it says of itself, which costs nothing; then by the API server; then by the pod that is there."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_operator import kinds
from watchkeeper_operator.cluster_errors import ClusterError, NotFound
from watchkeeper_operator.collector.routes import Refused
from watchkeeper_operator.names import COLLECTOR_AUDIENCE, SENSOR_ACCOUNT, SYSTEM_NAMESPACE
from watchkeeper_operator.shapes import Metadata, Named, OwnerReference

if TYPE_CHECKING:
    from watchkeeper_operator.cluster import Cluster

USER = f"system:serviceaccount:{SYSTEM_NAMESPACE}:{SENSOR_ACCOUNT}"
EXTRA = "authentication.kubernetes.io/"
TOKEN_CHARACTERS = 8192
RETRY_SECONDS = 2


class Bound(msgspec.Struct, frozen=True):
    """The pod and node that a token is bound to."""

    pod_name: str
    pod_uid: str
    node_name: str
    node_uid: str


class _Pod(msgspec.Struct, frozen=True):
    uid: str


class _Bindings(msgspec.Struct, frozen=True):
    pod: _Pod


class _Claims(msgspec.Struct, frozen=True):
    """What a token says of itself; nobody has checked it."""

    sub: str
    aud: tuple[str, ...]
    exp: float
    bindings: _Bindings = msgspec.field(name="kubernetes.io")


class User(msgspec.Struct, frozen=True):
    username: str = ""
    extra: dict[str, tuple[str, ...]] = {}


class Review(msgspec.Struct, frozen=True):
    """Status of a TokenReview."""

    authenticated: bool = False
    user: User = User()
    audiences: tuple[str, ...] = ()


class _PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    node_name: str = ""
    service_account_name: str = ""


class _ContainerStatus(msgspec.Struct, frozen=True, rename="camel"):
    restart_count: int = 0


class _PodStatus(msgspec.Struct, frozen=True, rename="camel"):
    phase: str = ""
    container_statuses: tuple[_ContainerStatus, ...] | None = None


class SensorPod(msgspec.Struct, frozen=True):
    metadata: Metadata
    spec: _PodSpec = _PodSpec()
    status: _PodStatus = _PodStatus()

    @property
    def restarts(self) -> int:
        """How often its containers were started anew."""
        return sum(one.restart_count for one in self.status.container_statuses or ())


class _Template(msgspec.Struct, frozen=True):
    spec: _PodSpec = _PodSpec()


class _DaemonSetSpec(msgspec.Struct, frozen=True):
    template: _Template = _Template()


class DaemonSet(msgspec.Struct, frozen=True):
    metadata: Metadata
    spec: _DaemonSetSpec = _DaemonSetSpec()


def claimed_pod(token: str, now: float) -> str:
    """Uid of the pod that a token says to be bound to, where all that it says is as it should be. Raises Refused."""
    parts = token.split(".")
    if len(token) > TOKEN_CHARACTERS or len(parts) != 3:
        raise Refused(403, "NotAToken")
    try:
        payload = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True)
        claims = msgspec.json.decode(payload, type=_Claims)
    except (ValueError, binascii.Error, msgspec.DecodeError, RecursionError):
        raise Refused(403, "NotAToken") from None
    if claims.sub != USER or COLLECTOR_AUDIENCE not in claims.aud or claims.exp <= now:
        raise Refused(403, "NotASensorsToken")
    return claims.bindings.pod.uid


def bound_by(review: Review) -> Bound:
    """What the API server says of a token. Raises Refused."""
    if not review.authenticated or COLLECTOR_AUDIENCE not in review.audiences:
        raise Refused(403, "NotAuthenticated")
    if review.user.username != USER:
        raise Refused(403, "NotASensorsToken")
    extra = {name: (review.user.extra.get(EXTRA + name) or ("",))[0] for name in ("pod-name", "pod-uid", "node-name", "node-uid")}
    if not all(extra.values()):  # a token of the account that is bound to no pod is authenticated too
        raise Refused(403, "NotBound")
    return Bound(extra["pod-name"], extra["pod-uid"], extra["node-name"], extra["node-uid"])


def check_pod(bound: Bound, pod: SensorPod) -> OwnerReference:
    """The DaemonSet that the pod says to be of. Raises Refused unless it is the live pod that the token is bound to."""
    metadata = pod.metadata
    if metadata.uid != bound.pod_uid or metadata.deletion_timestamp or pod.status.phase in ("Succeeded", "Failed"):
        raise Refused(403, "NoSuchPod")
    if pod.spec.node_name != bound.node_name:
        raise Refused(403, "AnotherNode")
    owner = next((one for one in metadata.owner_references if one.controller), None)
    if owner is None or (owner.api_version, owner.kind) != ("apps/v1", "DaemonSet"):
        raise Refused(403, "NotOurs")
    return owner


def check_owner(owner: OwnerReference, found: DaemonSet) -> None:
    """Raises Refused unless the DaemonSet is there and runs sensors."""
    if found.metadata.uid != owner.uid or found.spec.template.spec.service_account_name != SENSOR_ACCOUNT:
        raise Refused(403, "NotOurs")


async def review(cluster: Cluster, token: str) -> Bound:
    """Raises Refused."""
    body = {"spec": {"token": token, "audiences": [COLLECTOR_AUDIENCE]}}
    try:
        answer = await cluster.create(kinds.TOKEN_REVIEWS, body)
        return bound_by(msgspec.convert(answer.get("status") or {}, Review))
    except ClusterError:
        raise Refused(503, "ApiServerUnavailable", retry_after=RETRY_SECONDS) from None


async def fetch_pod(cluster: Cluster, bound: Bound) -> SensorPod:
    """The live pod, asked of the API server itself, of our DaemonSet on its node. Raises Refused."""
    try:
        pod = await cluster.get(kinds.PODS, SensorPod, bound.pod_name, namespace=SYSTEM_NAMESPACE)
        owner = check_pod(bound, pod)
        check_owner(owner, await cluster.get(kinds.DAEMON_SETS, DaemonSet, owner.name, namespace=SYSTEM_NAMESPACE))
        node = await cluster.get(kinds.NODES, Named, bound.node_name)
    except NotFound:
        raise Refused(403, "NoSuchPod") from None
    except ClusterError:
        raise Refused(503, "ApiServerUnavailable", retry_after=RETRY_SECONDS) from None
    if node.metadata.uid != bound.node_uid:
        raise Refused(403, "AnotherNode")
    return pod
