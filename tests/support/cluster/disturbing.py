"""What takes Watchkeeper down in stories, and the acts that go on meanwhile: counted where they are done, and looked up in what the operator stored."""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.cluster.installation import SYSTEM, eventually
from tests.support.cluster.steps import NoKubernetesError
from tests.support.tenants import a_policy, await_in_force, in_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cluster.installation import Installation
    from tests.support.cluster.workloads import Workloads

SECONDS = 180.0  # a busy machine, and pauses that the kubelet makes before it starts a container again
PYTHON = "/opt/watchkeeper/bin/python3"
ACT_BY_ACT = """
number=0
while [ ! -e /stop ]; do
  number=$((number + 1)); /bin/busybox echo {marker} $number; /bin/busybox sleep 0.5
done
echo did $number
exec /bin/busybox sleep 100000
"""
STORED = r"""
import json, re, sqlite3, sys
marker = sys.stdin.readline().strip()
store = sqlite3.connect("file:/var/lib/watchkeeper/operator.db?mode=ro", uri=True)
rows = store.execute("select stored_at - observed_at, content from detections where policy = ?", (marker,))
found = [(delay / 1e9, re.search(rb"%s (\d+) in " % marker.encode(), content)) for delay, content in rows]
print(json.dumps([(int(number[1]), delay) for delay, number in found if number]))
"""
BLIND = r"""
import json, sqlite3, sys
source, after = sys.stdin.readline().split()
store = sqlite3.connect("file:/var/lib/watchkeeper/operator.db?mode=ro", uri=True)
rows = store.execute("select since, until, content from blind where source = ? and until > ?", (source, int(after)))
print(json.dumps([(since, until, content.decode("latin-1")) for since, until, content in rows]))
"""
KILL = 'for path in $(grep -ls {container} /proc/[0-9]*/cgroup); do process=${{path#/proc/}}; kill -9 "${{process%/cgroup}}"; done'


@dataclass(frozen=True)
class Acts:
    """One program after another in a pod, each with the marker and a number of its own, from the first until `done()`."""

    installation: Installation
    work: Workloads
    marker: str

    def so_far(self) -> int:
        return int(self.work.kubectl("logs", self.marker, "--tail", "1").split()[1])

    def await_more(self, number: int = 4) -> None:
        before = self.so_far()
        eventually(f"{number} acts more", lambda: self.so_far() >= before + number, SECONDS)

    def done(self) -> int:
        """How many there were, when there are no more."""
        self.work.shell(self.marker, ": >/stop")
        eventually("the acts end", lambda: "did" in self.work.kubectl("logs", self.marker, "--tail", "1"), SECONDS)
        return self.so_far()

    def told(self) -> dict[int, list[float]]:
        """Number of an act → seconds until each of its detections was stored. Empty while the operator can't be asked."""
        found: dict[int, list[float]] = {}
        for number, delay in asked_of_store(self.installation, STORED, self.marker) or ():
            found.setdefault(number, []).append(delay)
        return found

    def all_told(self) -> dict[int, list[float]]:
        """Ends the acts; returns when each was told. Raises AssertionError, with those that were not."""
        count = self.done()
        with_numbers = set(range(1, count + 1))
        try:
            eventually(f"all {count} acts are told", lambda: set(self.told()) == with_numbers, SECONDS, every=1.0)
        except AssertionError as late:
            missing = sorted(with_numbers - set(self.told()))
            raise AssertionError(f"{late}: {len(missing)} are missing, {missing[:20]}") from None
        told = self.told()
        delays = sorted(delay for each in told.values() for delay in each)
        print(f"{count} acts, {len(delays)} detections; from act to store: median {delays[len(delays) // 2]:.1f} s, at most {delays[-1]:.1f} s")
        return told

    def shown(self) -> int:
        """Detections that incidents show."""
        entries = [entry for one in self.installation.incidents(f"watchkeeper/{self.marker}") for entry in one["status"].get("timeline", ())]
        return sum(entry["count"] for entry in entries if entry.get("policy") == f"watchkeeper/{self.marker}")

    def each_told_once(self) -> None:
        told = self.all_told()
        assert {number: len(each) for number, each in told.items() if len(each) != 1} == {}
        eventually("the incident counts each once", lambda: self.shown() == len(told), SECONDS)


@contextlib.contextmanager
def acts(installation: Installation, work: Workloads, **where: Any) -> Iterator[Acts]:
    """Begun, with a policy in force that finds each of them. `where`: of the pod's spec."""
    marker = f"act-{uuid.uuid4().hex[:8]}"
    with in_root(installation, a_policy(marker, marker, namespace="watchkeeper", severity="P2")):
        await_in_force(installation, "watchkeeper", marker)
        work.apply(work.pod(marker, container={"command": ["/bin/busybox", "sh", "-c", ACT_BY_ACT.format(marker=marker)]}, **where))
        work.await_ready(marker)
        begun = Acts(installation, work, marker)
        eventually("the first act", lambda: work.kubectl("logs", marker), SECONDS)
        begun.await_more()
        yield begun


def asked_of_store(installation: Installation, script: str, *words: str) -> Any:
    """What the script prints, run in the operator's pod with the words on its input (as arguments they would be acts too); None while that can't be asked."""
    command = ("exec", "--stdin", "--namespace", SYSTEM, "deployment/watchkeeper-operator", "--", PYTHON, "-c", script)
    try:
        return json.loads(installation.kubectl(*command, stdin=" ".join(words)))
    except NoKubernetesError:
        return None


def blind_of(installation: Installation, node: str, after: int) -> list[tuple[int, int, str]]:
    """Statements that the node's sensor was blind: since, until (nanoseconds since the epoch; only those that ended after `after`), and the content."""
    uid = installation.kubectl("get", "node", node, "--output", "jsonpath={.metadata.uid}")
    return [(since, until, content) for since, until, content in asked_of_store(installation, BLIND, f"node/{uid}", str(after)) or ()]


def pod_of(installation: Installation, selector: str, node: str = "") -> dict[str, Any]:
    """The one pod that is not ending. Raises AssertionError where there are none, or more."""
    on = ["--field-selector", f"spec.nodeName={node}"] if node else []
    found = [one for one in installation.objects("pods", "--namespace", SYSTEM, "--selector", selector, *on) if "deletionTimestamp" not in one["metadata"]]
    assert len(found) == 1, f"{len(found)} pods {selector}"
    return found[0]


def restarts(installation: Installation, selector: str, node: str = "") -> int:
    return sum(one["restartCount"] for one in pod_of(installation, selector, node)["status"]["containerStatuses"])


def kill(installation: Installation, selector: str, node: str = "") -> None:
    """SIGKILL to all processes of the pod's container; returns when the kubelet has started it again."""
    before, pod = restarts(installation, selector, node), pod_of(installation, selector, node)
    container = pod["status"]["containerStatuses"][0]["containerID"].partition("://")[2]
    installation.cluster.docker("exec", pod["spec"]["nodeName"], "sh", "-c", KILL.format(container=container))
    eventually(f"{selector} was ended", lambda: restarts(installation, selector, node) > before, SECONDS)


def await_ready(installation: Installation, *workloads: str) -> None:
    for one in workloads:
        installation.kubectl("rollout", "status", "--namespace", SYSTEM, one, f"--timeout={SECONDS:.0f}s")
