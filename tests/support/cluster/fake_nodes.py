"""Fake nodes and pods for scale, on any API server: kept Ready while it runs, deleted when it ends.

python -m tests.support.cluster.fake_nodes NODES PODS [--kubeconfig FILE]   until SIGTERM or SIGINT
python -m tests.support.cluster.fake_nodes --delete                         what a run that was killed left
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import queue
import signal
import ssl
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import yaml
from tests.support.cluster import fake_objects as fake
from tests.support.cluster.running import KUBECONFIG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Item = TypeVar("Item")
THREADS = 8
ATTEMPTS, PAUSE_SECONDS = 6, 0.5
RENEW_SECONDS = 20.0  # the controllers give a node up after 50
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
# No kubelet would end these pods' deletion, so there is no grace period.
AT_ONCE = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "propagationPolicy": "Background"}


class RefusedError(Exception):
    """What the API server answered."""


class Api:
    """Requests with an administrator's client certificate, a connection a thread."""

    def __init__(self, kubeconfig: Path) -> None:
        configuration = yaml.safe_load(kubeconfig.read_text())
        cluster, user = configuration["clusters"][0]["cluster"], configuration["users"][0]["user"]
        self._server = urllib.parse.urlsplit(cluster["server"])
        self._context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(b"\n".join(base64.b64decode(user[part]) for part in ("client-certificate-data", "client-key-data")))
            pair.flush()
            self._context.load_cert_chain(pair.name)
        self._local = threading.local()
        self._connections: list[http.client.HTTPSConnection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()

    def call(self, method: str, path: str, body: fake.Object | None = None, *, kind: str = "application/json", fine: tuple[int, ...] = ()) -> fake.Object:
        """The answer's object; statuses in `fine` are no error. Raises RefusedError, and OSError when there is no connection."""
        for attempt in range(ATTEMPTS):
            try:
                status, text = self._exchange(method, path, body, kind)
            except (OSError, http.client.HTTPException):
                self._drop()
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                if status < 300 or status in fine:
                    return json.loads(text) if text else {}
                if status not in (429, 500, 503, 504):
                    raise RefusedError(f"{method} {path}: {status} {text[:300]!r}")
            time.sleep(PAUSE_SECONDS * 2**attempt)
        raise RefusedError(f"{method} {path}: no success in {ATTEMPTS} attempts")

    def _exchange(self, method: str, path: str, body: fake.Object | None, kind: str) -> tuple[int, bytes]:
        if getattr(self._local, "connection", None) is None:
            self._local.connection = http.client.HTTPSConnection(str(self._server.hostname), self._server.port or 443, context=self._context, timeout=120)
            self._connections.append(self._local.connection)
        text = json.dumps(body) if body is not None else None
        self._local.connection.request(method, path, text, {"Content-Type": kind, "Accept": "application/json"})
        answer = self._local.connection.getresponse()
        return answer.status, answer.read()

    def _drop(self) -> None:
        self._local.connection.close()
        self._local.connection = None

    def patch(self, path: str, body: fake.Object) -> fake.Object:
        return self.call("PATCH", path, body, kind="application/merge-patch+json")

    def make(self, path: str, body: fake.Object) -> fake.Object:
        """What is there already is left as it is."""
        return self.call("POST", path, body, fine=(409,))


def on_threads(work: Callable[[Item], object], items: Iterable[Item], stop: threading.Event | None = None) -> None:
    """Calls work on every item, or until it is to stop; raises the first error, which ends it."""
    todo: queue.SimpleQueue[Item] = queue.SimpleQueue()
    errors: list[Exception] = []
    for item in items:
        todo.put(item)

    def run() -> None:
        with contextlib.suppress(queue.Empty):
            while not errors and not (stop and stop.is_set()):
                item = todo.get_nowait()
                try:
                    work(item)
                except (RefusedError, OSError, http.client.HTTPException) as error:
                    errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class FakeNodes:
    """There while the context lasts: pods spread over nodes and over ten namespaces fake-0 … fake-9."""

    def __init__(self, kubeconfig: Path, nodes: int, pods: int = 0, stop: threading.Event | None = None) -> None:
        self._api, self._nodes, self._pods = Api(kubeconfig), nodes, pods
        self._stop = stop or threading.Event()
        self._renewing = threading.Thread(target=self._renew)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as failing:
            failing.callback(self.__exit__)
            on_threads(self._make_node, range(self._nodes), self._stop)
            self._renewing.start()
            if self._pods:
                on_threads(self._make_namespace, range(fake.NAMESPACES), self._stop)
                on_threads(self._make_pod, range(self._pods), self._stop)
            failing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._renewing.is_alive():
            self._renewing.join()
        with self._api:
            delete(self._api)

    def _make_node(self, number: int) -> None:
        made = self._api.make("/api/v1/nodes", fake.node(number))
        name = fake.node_name(number)
        if made["kind"] != "Node":
            made = self._api.call("GET", f"/api/v1/nodes/{name}")
        self._api.make(LEASES, fake.lease(name, made["metadata"]["uid"]))

    def _make_namespace(self, number: int) -> None:
        name = fake.namespace_name(number)
        self._api.make("/api/v1/namespaces", {"metadata": {"name": name, "labels": fake.LABELS}})
        # A pod is refused until its namespace has a service account.
        self._api.make(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})

    def _make_pod(self, number: int) -> None:
        path = f"/api/v1/namespaces/{fake.namespace_name(number)}/pods"
        self._api.make(path, fake.pod(number, self._nodes))
        self._api.patch(f"{path}/fake-{number}/status", {"status": fake.pod_status(number, self._nodes)})

    def _renew(self) -> None:
        """One lease after the other, each in time."""
        due = time.monotonic()
        while not self._stop.is_set():
            for number in range(self._nodes):
                due += RENEW_SECONDS / self._nodes
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    return
                try:
                    self._api.patch(f"{LEASES}/{fake.node_name(number)}", {"spec": fake.renewed()})
                except (RefusedError, OSError, http.client.HTTPException) as error:  # an API server that is down for a while: the next round tries again
                    print(f"fake nodes: {error}", file=sys.stderr, flush=True)


def delete(api: Api) -> None:
    """Whatever there is of them."""
    names = [fake.namespace_name(number) for number in range(fake.NAMESPACES)]
    on_threads(lambda name: api.call("DELETE", f"/api/v1/namespaces/{name}/pods?labelSelector={fake.LABEL}", AT_ONCE, fine=(404,)), names)
    on_threads(lambda name: api.call("DELETE", f"/api/v1/namespaces/{name}", fine=(404, 409)), names)
    api.call("DELETE", f"/api/v1/nodes?labelSelector={fake.LABEL}", AT_ONCE)
    api.call("DELETE", f"{LEASES}?labelSelector={fake.LABEL}", AT_ONCE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nodes", type=int, nargs="?", default=0)
    parser.add_argument("pods", type=int, nargs="?", default=0)
    parser.add_argument("--delete", action="store_true")
    parser.add_argument("--kubeconfig", type=Path, default=KUBECONFIG, help="that of make cluster-up, unless told otherwise")
    options = parser.parse_args()
    if options.delete:
        with Api(options.kubeconfig) as api:
            delete(api)
        return
    if not options.nodes:
        parser.error("how many nodes?")
    began = time.monotonic()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with FakeNodes(options.kubeconfig, options.nodes, options.pods, stop):
        if not stop.is_set():
            print(f"fake nodes: {options.nodes} nodes, {options.pods} pods ready after {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
