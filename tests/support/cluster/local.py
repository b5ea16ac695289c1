"""The cluster where nothing can be pulled: kind with a node image of ours, a network and policies of ours, volumes of the controller manager's own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import yaml
from tests.support.cluster import engine
from tests.support.cluster.configuration import VOLUMES
from tests.support.cluster.engine import RUN, docker, inside
from tests.support.cluster.go import module_folder
from tests.support.cluster.kubebox import SOURCES
from tests.support.cluster.node_image import node_image
from tests.support.cluster.programs import kind
from tests.support.cluster.running import KUBECONFIG, NAME, Cluster
from tests.support.cluster.steps import NoKubernetesError, UnableError, step

FORWARDER = RUN / "forwarder.pid"
SYSCTL = RUN / "sysctl"
# The kubelet sets these for the whole machine.
SYSCTLS = ("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory", "vm/panic_on_oom", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes")
COMMANDS = {"apt-get": "apt", "dpkg-deb": "dpkg", "perl": "perl", "gcc": "gcc", "ip": "iproute2", "nsenter": "util-linux", "unshare": "util-linux"}  # → package
POLICIES = Path(__file__).parent / "netpol.yaml"
POLICIES_KIND = "config/crd/standard/policy.networking.k8s.io_clusternetworkpolicies.yaml"


def require_machine() -> None:
    """Raises UnableError with what this machine lacks, before a quarter of an hour is spent."""
    if os.geteuid() != 0:
        raise UnableError("without a Docker that you may use, the cluster is made in namespaces, which needs root: sudo make cluster-up")
    if missing := [f"{command} (Debian's {package})" for command, package in COMMANDS.items() if shutil.which(command) is None]:
        raise UnableError(f"without a Docker that pulls images, the cluster is made from Debian packages and Go modules; missing: {', '.join(missing)}")


def build() -> None:
    """All that a cluster is made from; a quarter of an hour on a new machine. Leaves no engine running that it started."""
    idle = engine.process_id() is None
    engine.start()
    try:
        node_image()
    finally:
        if idle:
            engine.stop()


def create(cluster: Cluster, configuration: dict[str, object]) -> None:
    """Returns when nodes, DNS and policies are in force. Raises NoKubernetesError."""
    _keep_sysctls()
    engine.start()
    image = node_image()
    (RUN / "volumes").mkdir(exist_ok=True)
    (RUN / "kind.yaml").write_text(yaml.safe_dump(configuration))
    with step("kind cluster created"):
        if NAME in inside(kind(), "get", "clusters").split():  # of a run that was broken off
            inside(kind(), "delete", "cluster", "--name", NAME)
        inside(kind(), "create", "cluster", "--name", NAME, "--image", image, "--config", RUN / "kind.yaml", "--wait", "240s", kubeconfig=KUBECONFIG)
    _forward(cluster.port)
    with step("network, volumes, policies and DNS in force"):
        _route(cluster)
        _open_volumes()
        _enforce_policies(cluster)
        _restart_dns(cluster)


def delete() -> None:
    """Ends all of it and leaves the machine as it was; images stay in the cache."""
    with contextlib.suppress(OSError, ValueError):
        os.kill(_forwarder(), signal.SIGTERM)
    if engine.process_id() is not None:
        with contextlib.suppress(NoKubernetesError):  # the engine's end ends it too
            inside(kind(), "delete", "cluster", "--name", NAME, kubeconfig=KUBECONFIG)
    engine.stop()
    with contextlib.suppress(FileNotFoundError):
        for name, value in json.loads(SYSCTL.read_text()).items():
            Path("/proc/sys", name).write_text(value)


def _keep_sysctls() -> None:
    if not SYSCTL.exists():
        RUN.mkdir(parents=True, exist_ok=True)
        SYSCTL.write_text(json.dumps({name: Path("/proc/sys", name).read_text().strip() for name in SYSCTLS}))


def _forward(port: int) -> None:
    """Makes the API server's address in the namespaces one of this machine as well."""
    with socket.create_server(("127.0.0.1", port)) as listening, (RUN / "forwarder.log").open("ab") as log:
        descriptor = listening.fileno()
        command = [sys.executable, Path(__file__).with_name("forwarding.py"), str(descriptor), str(port)]
        begun = subprocess.Popen(
            engine.inside_command(*command),
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    FORWARDER.write_text(str(begun.pid))


def _forwarder() -> int:
    """Process id; raises OSError or ValueError where it is none of ours."""
    pid = int(FORWARDER.read_text())
    if b"forwarding.py" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        raise ValueError("another process")
    return pid


def _route(cluster: Cluster) -> None:
    """Routes between the nodes' pod networks: no daemon does it here."""
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    for node in nodes:
        for other in nodes:
            if other is not node:
                (address,) = (one["address"] for one in other["status"]["addresses"] if one["type"] == "InternalIP")
                docker("exec", node["metadata"]["name"], "ip", "route", "replace", other["spec"]["podCIDR"], "via", address)


def _open_volumes() -> None:
    """The hostPath provisioner makes folders with mode 0750; pods that are not root need more."""
    watching = ("systemd-run", "--quiet", "--unit=volume-mode", f"--path-property=PathChanged={VOLUMES}", "-p", "StartLimitIntervalSec=0")
    docker("exec", f"{NAME}-control-plane", *watching, "sh", "-c", f"chmod 0777 {VOLUMES}/* || true")


def _enforce_policies(cluster: Cluster) -> None:
    policies_kind = module_folder("sigs.k8s.io/network-policy-api", within=SOURCES) / POLICIES_KIND
    cluster.kubectl("apply", "--server-side", "-f", str(policies_kind), "-f", str(POLICIES))


def _restart_dns(cluster: Cluster) -> None:
    """CoreDNS may have dialled the API before kube-proxy had its rules, and then waits half a minute: give it a fresh start."""
    system = ("-n", "kube-system")
    cluster.kubectl(*system, "rollout", "status", "daemonset/kube-proxy", "--timeout=180s")
    cluster.kubectl(*system, "scale", "deployment/coredns", "--replicas=1")
    cluster.kubectl(*system, "rollout", "restart", "deployment/coredns")
    for workload in ("daemonset/netpol", "deployment/coredns"):
        cluster.kubectl(*system, "rollout", "status", workload, "--timeout=180s")
