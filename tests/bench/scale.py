"""What operator and collector need in a cluster of 500 nodes, 5,000 pods and 2,000 objects of RBAC: memory, idle time, policy change → judged. A bare API server.

Memory is resident and, beside it, what is not shared with another process (private): the two share one interpreter and one library.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.support.api_server import ApiServer
from tests.support.cluster.fake_nodes import FakeNodes
from tests.support.cluster.steps import UnableError
from tests.support.collector_processes import a_collector_process
from tests.support.operators import ROOT, an_operator, eventually, prepare

NODES, PODS, GRANTS = 500, 5000, 1000  # a grant: a role and its binding
SETTLE_SECONDS, IDLE_SECONDS = 30, 30
POLICY = """
apiVersion: watchkeeper.dev/v1alpha1
kind: RuntimePolicy
metadata: {{name: bench-changed, namespace: watchkeeper}}
spec:
  title: Changed
  rules:
  - {{name: one, "on": [process.exec], when: 'process.exe == "/bin/{name}"', severity: P4}}
"""


def main() -> None:
    with contextlib.ExitStack() as up:
        try:
            server = up.enter_context(ApiServer())
        except UnableError as reason:
            print(f"skipped: {reason}", file=sys.stderr)
            return
        folder = Path(up.enter_context(tempfile.TemporaryDirectory()))
        prepare(server)
        server.kubectl("apply", "--server-side", "-k", str(ROOT / "policies"))
        server.kubectl("create", "--filename", "-", stdin="\n---\n".join(json.dumps(one) for one in _grants()))
        up.enter_context(FakeNodes(server.kubeconfig, NODES, PODS))
        operator = up.enter_context(an_operator(server, folder, "operator"))
        collector = up.enter_context(a_collector_process(server, folder))
        assert collector.process is not None
        pids = {"operator": operator.process.pid, "collector": collector.process.pid}
        time.sleep(SETTLE_SECONDS)
        before = {name: _cpu_seconds(pid) for name, pid in pids.items()}
        time.sleep(IDLE_SECONDS)
        print(
            f"{NODES} nodes, {PODS} pods, {2 * GRANTS} objects of RBAC beside the cluster's own, {len(list((ROOT / 'policies/library').rglob('*.yaml')))} policies and lists"
        )
        whole = 0.0
        for name, pid in pids.items():
            resident, private = _memory_mib(pid)
            whole += resident
            idle = (_cpu_seconds(pid) - before[name]) / IDLE_SECONDS * 100
            print(f"{name:10} {resident:6.1f} MiB resident ({private:.1f} private), {idle:.1f} % of a core when idle (goal < 2)")
        print(f"together   {whole:6.1f} MiB resident (goal ≤ 300)")
        took = []
        for number in range(5):
            began = time.monotonic()
            server.kubectl("apply", "--server-side", "-f", "-", stdin=POLICY.format(name=f"p{number}"))
            eventually(lambda: _accepted(server), 30)
            took.append(time.monotonic() - began)
        print(f"policy changed → judged, and said so: {min(took):.2f} s at least, {max(took):.2f} s at most")


def _grants() -> list[dict[str, object]]:
    made: list[dict[str, object]] = []
    api = "rbac.authorization.k8s.io"
    for number in range(GRANTS):
        name = {"name": f"bench-{number}", "namespace": "default"}
        rule = {"apiGroups": [""], "resources": ["configmaps", "pods"], "verbs": ["get", "list"]}
        made.append({"apiVersion": f"{api}/v1", "kind": "Role", "metadata": name, "rules": [rule]})
        role = {"apiGroup": api, "kind": "Role", "name": name["name"]}
        subjects = [{"kind": "ServiceAccount", "name": f"account-{number % 200}", "namespace": "default"}]
        made.append({"apiVersion": f"{api}/v1", "kind": "RoleBinding", "metadata": name, "roleRef": role, "subjects": subjects})
    return made


def _accepted(server: ApiServer) -> bool:
    found = json.loads(server.kubectl("get", "runtimepolicies", "-n", "watchkeeper", "bench-changed", "-o", "json"))
    conditions = found.get("status", {}).get("conditions", [])
    return any(one["type"] == "Accepted" and one["observedGeneration"] == found["metadata"]["generation"] for one in conditions)


def _memory_mib(pid: int) -> tuple[float, float]:
    """Resident, and of that what no other process has."""
    told = {line.split(":")[0]: int(line.split()[1]) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]}
    return told["Rss"] / 1024, (told["Private_Clean"] + told["Private_Dirty"]) / 1024


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
