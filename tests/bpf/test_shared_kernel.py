"""Several nodes on one kernel, as in kind: each sensor tells what happens in its own node alone, by the numbers that the node's /proc knows.

The node is a pid, mount and cgroup namespace of the test; the machine beside it is the test itself.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.bpf.patience import SLOWER
from tests.support.commands import WATCHKEEPER

HERE = Path(__file__).parents[2]
PATIENCE = 30.0 * SLOWER


class Node:
    """A node with a sensor in it; `told` are its detections."""

    def __init__(self, folder):
        self.program = folder / "program"
        shutil.copy("/bin/dash", self.program)
        sensor = f"{sys.executable} {HERE}/tests/bpf/in_node.py {self.program} & exec sleep infinity"
        self.output = (folder / "told").open("wb")
        words = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--cgroup", "sh", "-c", sensor]
        self.process = subprocess.Popen(words, stdout=self.output, env={**os.environ, "PYTHONPATH": str(HERE)})
        self.folder = folder
        ready = self.until(lambda: [line for line in self.lines if line["rule"] == "ready"])
        self.sensor = ready[0]["process_id"]
        self.init = int(subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, check=True, text=True).stdout)

    @property
    def lines(self):
        text = (self.folder / "told").read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def until(self, holds):
        end = time.monotonic() + PATIENCE
        while not (found := holds()):
            assert self.process.poll() is None
            assert time.monotonic() < end, self.lines
            time.sleep(0.02)
        return found

    def told(self, rule):
        return [line for line in self.lines if line["rule"] == rule]

    def inside(self, *words):
        """Run in the node; the words are a command."""
        return ["nsenter", "-t", str(self.init), "--pid", "--mount", *map(str, words)]

    def settle(self):
        """Until what happened before has been judged: an act of the node that comes after it is told."""
        mark = f"mark-{time.monotonic_ns()}"
        subprocess.run(self.inside(self.program, "-c", "true", mark), check=True)
        self.until(lambda: any(mark in line["message"] for line in self.told("ran")))

    def close(self):
        (self.folder / "end").touch()
        with contextlib.suppress(AssertionError):
            self.until(lambda: self.told("over"))
        self.process.kill()
        self.process.wait()
        self.output.close()


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    made = Node(tmp_path_factory.mktemp("node"))
    yield made
    made.close()


def commands(node):
    return [line["message"] for line in node.told("ran")]


def test_an_act_of_the_node_is_told_by_the_number_that_the_node_knows(node):
    said = subprocess.run(node.inside(node.program, "-c", "echo $$", "of-the-node"), capture_output=True, text=True, check=True).stdout
    (found,) = node.until(lambda: [line for line in node.told("ran") if "of-the-node" in line["message"]])
    assert found["process_id"] == int(said)


def test_parents_are_known_by_the_nodes_numbers(node):
    script = f"{node.program} -c true of-a-child; echo $$"
    said = subprocess.run(node.inside(node.program, "-c", script), capture_output=True, text=True, check=True).stdout
    (found,) = node.until(lambda: [line for line in node.told("ran") if line["message"].endswith("of-a-child")])
    assert found["parents"][0] == int(said)


def test_an_act_of_the_machine_is_not_told(node):
    subprocess.run([node.program, "-c", "true", "of-the-machine"], check=True)
    node.settle()
    assert not [text for text in commands(node) if "of-the-machine" in text]


def test_an_act_of_another_node_is_not_told(node):
    subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", node.program, "-c", "true", "of-another-node"], check=True)
    node.settle()
    assert not [text for text in commands(node) if "of-another-node" in text]


def test_an_act_of_a_container_in_the_node_is_told_by_the_nodes_number(node):
    held = subprocess.Popen(node.inside("unshare", "--pid", "--fork", node.program, "-c", "read line", "of-a-pod"), stdin=subprocess.PIPE)
    try:
        (found,) = node.until(lambda: [line for line in node.told("ran") if "of-a-pod" in line["message"]])
        status = subprocess.run(node.inside("cat", f"/proc/{found['process_id']}/status"), capture_output=True, text=True, check=True).stdout
        numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
        assert numbers == [str(found["process_id"]), "1"]
    finally:
        held.communicate(b"\n")


def test_files_and_folders_of_the_machine_are_not_told(node, tmp_path):
    for name, runs in (("node", node.inside), ("machine", lambda *words: list(words))):
        subprocess.run(
            runs(node.program, "-c", f"true > {node.folder}/secret-of-{name}; mkdir -p {tmp_path}/{name}; mkdir {tmp_path}/{name}/new-folder"), check=True
        )
    node.until(lambda: node.told("opened") and node.told("made"))
    node.settle()
    assert [line["message"] for line in node.told("opened")] == ["secret-of-node"]
    assert len(node.told("made")) == 1


def test_connections_of_the_machine_are_not_told(node):
    connects = "import socket,sys\ns=socket.socket()\ns.settimeout(1)\ns.connect_ex(('127.0.0.1',4711))"
    with socket.create_server(("127.0.0.1", 4711)):
        subprocess.run([sys.executable, "-c", connects, "of-the-machine"], check=True)
        subprocess.run(node.inside(sys.executable, "-c", connects, "of-the-node"), check=True)
        node.until(lambda: node.told("connected"))
        node.settle()
    (found,) = node.told("connected")
    assert "of-the-node" in found["message"]


def test_a_signal_names_its_target_by_the_nodes_number(node):
    kills = "trap '' USR1; sleep 0.1; kill -USR1 $$ & wait $!; echo $$"
    said = subprocess.run(node.inside(node.program, "-c", kills), capture_output=True, text=True, check=True).stdout
    found = node.until(lambda: node.told("signalled"))
    assert found[0]["message"] == f"{signal.SIGUSR1} {said.strip()}"


def test_what_others_load_into_the_shared_kernel_is_not_the_nodes(node):
    from tests.bpf.conftest import OBJECT

    from watchkeeper_sensor.decoding import PROGRAMS
    from watchkeeper_sensor.kernel.programs import KernelSensor

    other = KernelSensor(OBJECT, (), PROGRAMS)
    try:
        time.sleep(6)  # the inventory looks every five seconds
    finally:
        other.close()
    node.settle()
    assert not node.told("found")


def test_nothing_of_the_node_is_lost_or_unreadable(node):
    ready = node.told("ready")[0]
    assert not ready["blind"]


IN_NODE = ["unshare", "--pid", "--fork", "--mount-proc"]


def test_a_pod_without_the_nodes_pid_namespace_is_refused(tmp_path):
    words = ["sensor", "--collector", "https://collector", "--node-name", "node-a", "--state", tmp_path]
    done = subprocess.run([*IN_NODE, WATCHKEEPER, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "hostPID: true" in done.stderr


def test_paths_of_cgroups_are_seen_as_the_nodes_first_process_sees_them():
    """A pod has a cgroup namespace of its own, in which the node's containers lie above the root."""
    sees = (
        "import os\nfrom watchkeeper_sensor.kernel.privileges import see_host_cgroups\n"
        "def own(): return os.readlink('/proc/self/ns/cgroup') == os.readlink('/proc/1/ns/cgroup')\n"
        "print(own(), repr(see_host_cgroups()), own())"
    )
    inside = f'unshare --cgroup {sys.executable} -c "{sees}"; true'
    said = subprocess.run([*IN_NODE, "sh", "-c", inside], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "''", "True"]
