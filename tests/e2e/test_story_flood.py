"""One who floods loses their own: no other namespace misses an event, and people read a few small incidents."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

import pytest
from tests.support import tenants
from tests.support.cluster.installation import eventually
from tests.support.cluster.kubebox import components
from tests.support.tenants import RULES, SECONDS, a_policy, await_in_force, in_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cluster.installation import Installation
    from tests.support.tenants import Tenant

ACTS = 60
STORM = 3000
OBJECT_BYTES = 32 * 1024
WRITES_PER_SECOND, BURST = 5, 10
FLOOD = "while :; do /bin/busybox true; /bin/busybox cat /etc/hostname >/dev/null; done"


@pytest.fixture
def shop(installation: Installation, busybox: str) -> Iterator[Tenant]:
    with tenants.tenant(installation, RULES) as made:
        made.run_pod("cart", busybox)
        yield made


@pytest.fixture
def bank(installation: Installation, busybox: str) -> Iterator[Tenant]:
    with tenants.tenant(installation, RULES) as made:
        made.run_pod("vault", busybox)
        yield made


@pytest.fixture
def marker() -> str:
    return f"marked-{uuid.uuid4().hex[:8]}"


def node_of(one: Tenant, pod: str) -> str:
    return one.installation.kubectl("get", "pod", pod, "--namespace", one.namespace, "--output", "jsonpath={.spec.nodeName}")


def counted(one: Tenant, policy: str) -> int:
    """Detections of the policy in the namespace's incidents."""
    incidents = json.loads(one.kubectl("get", "incidents", "--output", "json"))["items"]
    entries = [entry for each in incidents for entry in each.get("status", {}).get("timeline", ()) if entry.get("policy", "").endswith(f"/{policy}")]
    return sum(int(entry.get("count", 1)) for entry in entries)


def test_a_match_all_policy_under_load_costs_no_other_namespace_an_event(shop: Tenant, bank: Tenant, marker: str) -> None:
    everything = a_policy("everything", "")
    everything["spec"]["rules"] = [
        {"name": "commands", "on": ["process.exec"], "when": "true", "severity": "P3", "message": "{process.command_line}"},
        {"name": "files", "on": ["file.open"], "when": "true", "severity": "P3", "message": "{file.path}"},
    ]
    shop.apply(everything)
    bank.apply(a_policy(marker, marker))
    shop.await_in_force("everything")
    bank.await_in_force(marker)
    nodes = node_of(shop, "cart"), node_of(bank, "vault")
    kubectl = [components() / "kubectl", "--kubeconfig", shop.installation.cluster.kubeconfig, "--namespace", shop.namespace]
    with subprocess.Popen([*kubectl, "exec", "cart", "--", "/bin/busybox", "timeout", "300", "/bin/busybox", "sh", "-c", FLOOD]) as flood:
        try:
            eventually("the flood is seen", lambda: counted(shop, "everything") > 100, SECONDS)
            assert flood.poll() is None, "the flood ended before the acts"
            bank.act("vault", "sh", "-c", f"for one in $(/bin/busybox seq {ACTS}); do /bin/busybox echo {marker} $one; /bin/busybox usleep 50000; done")
            assert flood.poll() is None, "the flood ended during the acts"
        finally:
            flood.terminate()
            shop.kubectl("delete", "pod", "cart", "--force", "--grace-period=0", "--wait=false")
    eventually(f"all {ACTS} acts of the other namespace are told", lambda: counted(bank, marker) == ACTS, SECONDS)
    print(f"flood on {nodes[0]}, acts on {nodes[1]}; told of the flood: {counted(shop, 'everything')}")
    assert f"/{marker}" not in shop.kubectl("get", "incidents", "--output", "json")


class Writes(threading.Thread):
    """Every write of an Incident while it lasts: when, and how large the object was then."""

    def __init__(self, installation: Installation) -> None:
        super().__init__()
        self.seen: list[tuple[float, int]] = []
        incidents = "/apis/watchkeeper.dev/v1alpha1/incidents"
        version = json.loads(installation.kubectl("get", "--raw", f"{incidents}?limit=1"))["metadata"]["resourceVersion"]  # of kubectl's own lists it is empty
        assert version
        path = f"{incidents}?watch=1&resourceVersion={version}&timeoutSeconds=300"
        command = [components() / "kubectl", "--kubeconfig", installation.cluster.kubeconfig, "get", "--raw", path]
        self._watch = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def run(self) -> None:
        for line in self._watch.stdout:
            change: dict[str, Any] = json.loads(line)
            if change["type"] in ("ADDED", "MODIFIED"):
                change["object"]["metadata"].pop("managedFields", None)
                self.seen.append((time.monotonic(), len(json.dumps(change["object"], separators=(",", ":"), ensure_ascii=False).encode())))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.terminate()
        self._watch.wait()
        self.join()
        self._watch.stdout.close()


def test_a_storm_of_detections_makes_a_few_small_objects_written_seldom(installation: Installation, shop: Tenant, marker: str) -> None:
    with in_root(installation, a_policy(marker, marker, namespace="watchkeeper")):
        await_in_force(installation, "watchkeeper", marker)
        with Writes(installation) as writes:
            began = time.monotonic()
            words = "$one-" + "x" * 150
            shop.act("cart", "sh", "-c", f"for one in $(/bin/busybox seq {STORM}); do /bin/busybox echo {marker} {words} >/dev/null; done")
            lasted = time.monotonic() - began

            def told() -> int:
                incidents = installation.incidents(f"watchkeeper/{marker}")
                return sum(int(entry.get("count", 1)) for one in incidents for entry in one["status"].get("timeline", ()) if marker in str(entry.get("policy")))

            eventually(f"{STORM} commands of {lasted:.1f} s are told", lambda: told() >= STORM * 0.9, SECONDS, every=2)
            found = installation.incidents(f"watchkeeper/{marker}")
        seconds = Counter(int(at - began) for at, _ in writes.seen)
        windows = [sum(seconds[second + each] for each in range(10)) for second in range(-5, int(time.monotonic() - began))]
        largest = max(size for _, size in writes.seen)
        print(
            f"{STORM} commands in {lasted:.1f} s: {told()} told in {len(found)} incidents; {len(writes.seen)} writes, at most {max(windows)} in 10 s; largest {largest} bytes"
        )
    assert len(found) <= 3
    assert largest <= OBJECT_BYTES
    assert max(windows) <= WRITES_PER_SECOND * 10 + BURST
