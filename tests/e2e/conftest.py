"""Tests on a real API server, or on a cluster: see tests/support/api_server.py and tests/support/cluster. Where a machine can't have them, they are skipped and say why."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import pytest
from tests.support import docker_engine
from tests.support.admission import install
from tests.support.api_client import ApiClient
from tests.support.api_server import ApiServer
from tests.support.cluster import installation as installing
from tests.support.cluster.__main__ import UNABLE
from tests.support.cluster.callers import People
from tests.support.cluster.running import Cluster, running
from tests.support.cluster.steps import UnableError
from tests.support.cluster.workloads import Workloads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.cluster.installation import Installation

BUSYBOX = "watchkeeper.test/busybox:1"


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    """A real API server without nodes, controllers or audit, one for all tests: use names and namespaces of your own.

    A test that needs other flags, an audit webhook or controllers starts an `ApiServer` itself: that takes seconds.
    """
    with contextlib.ExitStack() as up:
        try:
            server = up.enter_context(ApiServer())
        except UnableError as reason:
            pytest.skip(str(reason))
        yield server


def _cluster_command(word: str, request: pytest.FixtureRequest) -> tuple[int, str]:
    """Exit status, and what it said last; all of it is shown as it comes, as this can take a while."""
    capturing = request.config.pluginmanager.getplugin("capturemanager")
    last = ""
    command = [sys.executable, "-m", "tests.support.cluster", word]
    with capturing.global_and_fixture_disabled(), subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for last in process.stderr:
            print(last, end="", file=sys.stderr, flush=True)
    return process.returncode, last.strip()


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A real cluster with a worker, one for all tests. It stays up if it was, or if WATCHKEEPER_KEEP_CLUSTER is set."""
    stays = running() is not None or bool(os.environ.get("WATCHKEEPER_KEEP_CLUSTER"))
    status, said = _cluster_command("up", request)
    if status == UNABLE:
        pytest.skip(said)
    made = running()
    assert made is not None, said
    yield made
    if not stays:
        status, said = _cluster_command("down", request)
        assert status == 0, said


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Callable[..., str]:
    """Output of kubectl, as the administrator; raises NoKubernetesError with what it said."""
    return cluster.kubectl


@pytest.fixture(scope="session")
def load_image(cluster: Cluster) -> Callable[..., None]:
    """Puts images of `cluster.docker` on every node."""
    return cluster.load_image


@pytest.fixture(scope="session")
def busybox(cluster: Cluster) -> str:
    """Name of a small image that every node has: sh, nc, httpd, nslookup … by `busybox NAME`."""
    docker_engine.unpacked()
    cluster.docker("import", "--change", 'CMD ["/bin/sh"]', "-", BUSYBOX, stdin=docker_engine.image())
    cluster.load_image(BUSYBOX)
    return BUSYBOX


@pytest.fixture(scope="session")
def installation(cluster: Cluster) -> Installation:
    """Watchkeeper on the cluster, as the quickstart installs it, from this tree; taken as it is where it is the same."""
    return installing.install(cluster)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """Of this test's own."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def guarded_server() -> Iterator[ApiServer]:
    """A real API server of its own with our kinds and admission policies, the namespaces watchkeeper, watchkeeper-system, shop and other, and a Lease in epoch 7."""
    with contextlib.ExitStack() as running:
        try:
            server = running.enter_context(ApiServer())
        except UnableError as reason:
            pytest.skip(str(reason))
        install(server)
        yield server


@pytest.fixture
def guarded(guarded_server: ApiServer) -> Iterator[ApiClient]:
    """A quick client of it."""
    with ApiClient(guarded_server) as client:
        yield client


@pytest.fixture(scope="session")
def people(cluster: Cluster) -> People:
    """Issues certificates of the cluster's authority to whomever a story needs."""
    return People.of(cluster)


@pytest.fixture
def work(installation: Installation, namespace: str, busybox: str) -> Workloads:
    """Pods in this test's namespace, on a cluster that Watchkeeper watches."""
    return Workloads(installation.cluster, namespace, busybox)
