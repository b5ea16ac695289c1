"""Our kinds and admission policies on a test's API server."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.api_client import ApiClient
from tests.support.cluster_objects import an_action, an_incident
from tests.support.policy_objects import an_exception, renamed

from watchkeeper_operator.names import ACT_ACCOUNT, OPERATOR_LEASE, ROOT_NAMESPACE, SYSTEM_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.api_server import ApiServer

REPOSITORY = Path(__file__).parents[2]
OPERATOR = f"system:serviceaccount:{SYSTEM_NAMESPACE}:{ACT_ACCOUNT}"
EPOCH = 7
IN_FORCE_SECONDS = 20.0


def lease(epoch: int = EPOCH, renewed: datetime | None = None) -> dict[str, Any]:
    moment = (renewed or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": "operator-1", "leaseTransitions": epoch, "renewTime": moment, "acquireTime": moment, "leaseDurationSeconds": 15}
    metadata = {"name": OPERATOR_LEASE, "namespace": SYSTEM_NAMESPACE}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def install(server: ApiServer) -> None:
    """Returns when all of it is in force."""
    server.kubectl("apply", "--server-side", "-k", str(REPOSITORY / "crds"))
    server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    for namespace in (ROOT_NAMESPACE, SYSTEM_NAMESPACE, "shop", "other"):
        server.kubectl("create", "namespace", namespace)
    # The operator's rights are another test's: here it may whatever admission lets it.
    server.kubectl("create", "clusterrolebinding", "operator", "--clusterrole=cluster-admin", f"--serviceaccount={SYSTEM_NAMESPACE}:{ACT_ACCOUNT}")
    server.kubectl("apply", "--server-side", "-k", str(REPOSITORY / "manifests/base/admission"))
    with ApiClient(server) as client:
        assert client.create(lease(), dry_run=False).taken
        _await("policies to be in force", lambda: all(not client.create(written, user=user).taken for written, user in FORBIDDEN))


def moved(written: dict[str, Any], namespace: str) -> dict[str, Any]:
    return {**written, "metadata": {**written["metadata"], "namespace": namespace}}


def stored(client: ApiClient, written: dict[str, Any], name: str, *, user: str = "") -> dict[str, Any]:
    """The object as the API server keeps it."""
    made = client.create(renamed(written, name), user=user, dry_run=False)
    assert made.taken, made.message
    return made.object


# One for each policy that a write without preparation meets.
FORBIDDEN: list[tuple[dict[str, Any], str]] = [
    (an_incident(), ""),
    (an_incident(), OPERATOR),
    (an_action(requester="somebody"), ""),
    (moved(an_exception(), "shop"), ""),
]


def _await(what: str, holds: Callable[[], bool]) -> None:
    end = time.monotonic() + IN_FORCE_SECONDS
    while not holds():
        assert time.monotonic() < end, f"waited {IN_FORCE_SECONDS:.0f} s for {what}"
        time.sleep(0.1)
