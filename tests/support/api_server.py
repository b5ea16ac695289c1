"""A real API server for tests: etcd and kube-apiserver as processes of this machine, no nodes; with the controllers where a test asks for them.

Ready in about two seconds. It listens on loopback alone, etcd on a socket in a folder of its own, and all of it ends with the tests, also where these are killed.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.certificates import TestAuthority, private_text, public_text
from tests.support.cluster.kubebox import NoKubernetesError, components

from watchkeeper_operator.audit.configuring import WEBHOOK_FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "watchkeeper-api-server-"
READY_SECONDS, END_SECONDS, POLL_SECONDS = 60.0, 20.0, 0.05
ADMINISTRATORS = "system:masters"
CONTROLLERS = "system:kube-controller-manager"


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _base64(text: bytes) -> str:
    return base64.b64encode(text).decode()


def _sweep() -> None:
    """Folders of servers whose tests were killed: nobody holds their lock."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


class ApiServer:
    """Runs while the context lasts. Raises NoKubernetesError.

    To be used from the main thread: its processes end with the thread that started them. `flags` are kube-apiserver's, without dashes; `audit_policy` alone writes events to `audit_log`, with `audit_webhook` (a kubeconfig) they are sent as well.
    """

    def __init__(
        self, *, controllers: bool = False, flags: Mapping[str, str] | None = None, audit_policy: Path | None = None, audit_webhook: Path | None = None
    ) -> None:
        self._controllers, self.flags = controllers, dict(flags or {})
        self._audit_policy, self._audit_webhook = audit_policy, audit_webhook
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self._components = components()
        _sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = (self.folder / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        with contextlib.ExitStack() as failing:
            failing.callback(self.__exit__)
            self.port = free_port()
            self._prepare()
            self._start_etcd()
            self.start()
            if self._controllers:
                self._start_controllers()
            failing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("kube-controller-manager", "kube-apiserver", "etcd"):
            self._end(name)
        shutil.rmtree(self.folder)
        self._lock.close()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    def _prepare(self) -> None:
        self.authority = TestAuthority("kubernetes")
        (self.folder / "ca.crt").write_bytes(self.authority.certificate)
        self.authority.own().write(self.folder, "signing")
        self.authority.server("127.0.0.1", "localhost", "kubernetes.default.svc", "10.96.0.1").write(self.folder, "server")
        tokens = ec.generate_private_key(ec.SECP256R1())
        (self.folder / "tokens.pub").write_bytes(public_text(tokens))
        (self.folder / "tokens.key").write_bytes(private_text(tokens))
        self.kubeconfig = self.kubeconfig_for("administrator", ADMINISTRATORS)

    def kubeconfig_for(self, user: str, *groups: str) -> Path:
        """File of a client certificate for a user of these groups; its rights are what RBAC says."""
        issued = self.authority.client(user, groups)
        return self._kubeconfig(user, {"client-certificate-data": _base64(issued.certificate), "client-key-data": _base64(issued.key)})

    def kubeconfig_with_token(self, name: str, token: str) -> Path:
        return self._kubeconfig(name, {"token": token})

    def _kubeconfig(self, name: str, user: dict[str, str]) -> Path:
        path = self.folder / f"{name.replace(':', '-').replace('/', '-')}.kubeconfig"
        cluster = {"server": self.url, "certificate-authority-data": _base64(self.authority.certificate)}
        configuration = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": name}}],
            "current-context": "tests",
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(configuration))
        return path

    def kubectl(self, *words: str, stdin: str = "", check: bool = True, kubeconfig: Path | None = None) -> str:
        """Output of kubectl, as the administrator unless told otherwise; raises CalledProcessError, whose stderr says why."""
        command = [self._components / "kubectl", "--kubeconfig", kubeconfig or self.kubeconfig, *words]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        return subprocess.run(command, input=stdin, check=check, capture_output=True, text=True, env=environment).stdout

    def start(self) -> None:
        """Returns when the API server says that it is ready."""
        self._run("kube-apiserver", **self._flags())
        self._await_ready()

    def stop(self, *, kill: bool = False) -> None:
        """Ends the API server; etcd and so every object stays."""
        self._end("kube-apiserver", signal.SIGKILL if kill else signal.SIGTERM)

    def restart(self, *, kill: bool = False) -> None:
        """Same address, same objects, and `flags` as they are now."""
        self.stop(kill=kill)
        self.start()

    def _flags(self) -> dict[str, str]:
        flags = {
            "etcd-servers": f"unix://{self.folder}/etcd.sock",
            "bind-address": "127.0.0.1",
            "secure-port": str(self.port),
            "advertise-address": "127.0.0.1",
            "endpoint-reconciler-type": "none",  # it would refuse a loopback address as that of the Service `kubernetes`
            "client-ca-file": f"{self.folder}/ca.crt",
            "tls-cert-file": f"{self.folder}/server.crt",
            "tls-private-key-file": f"{self.folder}/server.key",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": f"{self.folder}/tokens.pub",
            "service-account-signing-key-file": f"{self.folder}/tokens.key",
            "service-cluster-ip-range": "10.96.0.0/16",
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
            "allow-privileged": "true",
        }
        if self._audit_policy:
            flags |= {"audit-policy-file": str(self._audit_policy), "audit-log-path": str(self.audit_log)}
        if self._audit_webhook:
            flags |= {"audit-webhook-config-file": str(self._audit_webhook), **WEBHOOK_FLAGS}
        return flags | self.flags

    def _start_etcd(self) -> None:
        listening, peers = f"unix://{self.folder}/etcd.sock", "http://localhost:2380"  # no member has peers: the address is a name alone
        self._run(
            "etcd",
            **{
                "data-dir": f"{self.folder}/etcd",
                "unsafe-no-fsync": "true",
                "listen-client-urls": listening,
                "advertise-client-urls": listening,
                "listen-peer-urls": f"unix://{self.folder}/peers.sock",
                "initial-advertise-peer-urls": peers,
                "initial-cluster": f"default={peers}",
            },
        )

    def _start_controllers(self) -> None:
        kubeconfig = str(self.kubeconfig_for(CONTROLLERS))
        self._run(
            "kube-controller-manager",
            **{
                "kubeconfig": kubeconfig,
                "leader-elect": "false",
                "secure-port": "0",
                "use-service-account-credentials": "true",
                "service-account-private-key-file": f"{self.folder}/tokens.key",
                "root-ca-file": f"{self.folder}/ca.crt",
                "cluster-signing-cert-file": f"{self.folder}/signing.crt",
                "cluster-signing-key-file": f"{self.folder}/signing.key",
            },
        )
        self._await("the controllers", lambda: bool(self.kubectl("get", "serviceaccount", "default", "--ignore-not-found")))

    def _run(self, component: str, **flags: str) -> None:
        command = [self._components / component, *(f"--{name}={value}" for name, value in flags.items())]
        with (self.folder / f"{component}.log").open("ab") as log:
            # Whatever ends the tests ends what they started.
            self._processes[component] = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command], stdout=log, stderr=log, cwd=self.folder)

    def _end(self, component: str, number: signal.Signals = signal.SIGTERM) -> None:
        process = self._processes.pop(component, None)
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _await_ready(self) -> None:
        context = ssl.create_default_context(cadata=self.authority.certificate.decode())
        context.load_cert_chain(*self.authority.client("readiness", [ADMINISTRATORS]).write(self.folder, "readiness"))

        def ready() -> bool:
            with contextlib.closing(http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=5)) as connection:
                try:
                    connection.request("GET", "/readyz")
                    return connection.getresponse().status == http.HTTPStatus.OK
                except (OSError, http.client.HTTPException):
                    return False

        self._await("kube-apiserver", ready)

    def _await(self, what: str, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if ready():
                return
            for component, process in self._processes.items():
                if process.poll() is not None:
                    raise NoKubernetesError(f"{component} ended: {(self.folder / f'{component}.log').read_text(errors='replace')[-1500:]}")
            time.sleep(POLL_SECONDS)
        raise NoKubernetesError(
            f"{what} not ready after {READY_SECONDS:.0f} s; logs: {(self.folder / 'kube-apiserver.log').read_text(errors='replace')[-1500:]}"
        )
