"""Operators as processes, with the account that they have in a cluster, against a bare API server."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.api_server import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.api_server import ApiServer

ROOT = Path(__file__).parents[2]
ACT = "system:serviceaccount:watchkeeper-system:watchkeeper-act"
GROUPS = ("system:serviceaccounts", "system:serviceaccounts:watchkeeper-system", "system:authenticated")


def prepare(server: ApiServer) -> None:
    """Kinds, namespaces and the account, which may do everything here: what it needs at least is another test's matter."""
    for namespace in ("watchkeeper", "watchkeeper-system"):
        server.kubectl("create", "namespace", namespace)
    server.kubectl("apply", "--server-side", "-k", str(ROOT / "crds"))
    server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    server.kubectl("create", "clusterrolebinding", "act", "--clusterrole=cluster-admin", f"--user={ACT}")


class OperatorProcess:
    """One replica; `folder` holds its store and its log."""

    def __init__(self, server: ApiServer, folder: Path, name: str, *flags: str, store: str = "") -> None:
        self.port, self.log = free_port(), folder / f"{name}.log"
        command = [sys.executable, "-c", "from watchkeeper_cli.main import main; main()", "operator", "--sensor-image", "sensor:1", "--identity", name]
        command += ["--kubeconfig", str(server.kubeconfig_for(ACT, *GROUPS)), "--store", store or f"sqlite:///{folder}/{name}.db"]
        command += ["--listen", f"127.0.0.1:{self.port}", *flags]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command], stderr=log, stdout=log, cwd=ROOT)

    def ask(self, path: str, token: str = "") -> tuple[int, str]:
        """HTTP status (0: nobody answers) and text."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"authorization": f"Bearer {token}"} if token else {})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 (our own address)
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()
        except OSError:
            return 0, ""

    def said(self, text: str) -> list[dict[str, Any]]:
        """Lines of its log that contain a text."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if text in line]

    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@contextlib.contextmanager
def an_operator(server: ApiServer, folder: Path, name: str, *flags: str, store: str = "") -> Iterator[OperatorProcess]:
    running = OperatorProcess(server, folder, name, *flags, store=store)
    try:
        eventually(lambda: running.ask("/readyz")[0] == 200, 30, lambda: running.log.read_text()[-3000:])
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def eventually(holds: Callable[[], bool], seconds: float, otherwise: Callable[[], object] = lambda: "") -> float:
    """Seconds until it held; fails when it does not in time."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < seconds, otherwise()
        time.sleep(0.05)
    return time.monotonic() - started
