"""Story: a policy is applied, broken, mended and changed while those whom it watches go on."""

from __future__ import annotations

import time

import pytest
from tests.support.cluster.installation import eventually
from tests.support.cluster.told import count, telling

SECONDS = 120
CHANGES = 4
ACTS = "i=0; while ! busybox test -e /stop; do /bin/busybox true act-$i; i=$((i+1)); busybox usleep 50000; done; echo $i"


def condition(policy, name):
    return next((one for one in policy.get("status", {}).get("conditions", ()) if one["type"] == name), {"status": "Unknown", "message": ""})


class Policy:
    """One of root's, about processes of one namespace that have a marker among their arguments."""

    def __init__(self, installation, namespace):
        self.installation, self.name, self.namespace = installation, f"story-{namespace}", namespace

    def apply(self, marker, *, message="{process.command_line} was run", when=""):
        rule = {
            "name": "marked",
            "on": ["process.exec"],
            "when": when or f'pod.namespace == "{self.namespace}" && get(process.args, []).exists(a, a.startsWith("{marker}-"))',
            "severity": "P3",
            "confidence": "medium",
            "attack": ["T1059.004"],
            "message": message,
        }
        spec = {"title": "Marked process", "description": "A process with the marker of a story.", "rules": [rule]}
        metadata = {"name": self.name, "namespace": "watchkeeper"}
        self.installation.apply({"apiVersion": "watchkeeper.dev/v1alpha1", "kind": "RuntimePolicy", "metadata": metadata, "spec": spec})

    def get(self):
        return next(one for one in self.installation.objects("runtimepolicies", "--namespace", "watchkeeper") if one["metadata"]["name"] == self.name)

    def is_in_force(self):
        policy = self.get()
        found = condition(policy, "InForce")
        return found["status"] == "True" and policy["status"]["inForce"]["generation"] == policy["metadata"]["generation"] and policy

    def is_refused(self):
        policy = self.get()
        found = condition(policy, "Accepted")
        return found["status"] == "False" and found["observedGeneration"] == policy["metadata"]["generation"] and found["message"]

    def delete(self):
        self.installation.kubectl("delete", "runtimepolicies", "--namespace", "watchkeeper", self.name, "--ignore-not-found")


@pytest.fixture
def policy(installation, namespace):
    made = Policy(installation, namespace)
    yield made
    made.delete()


def test_a_policy_is_in_force_on_all_nodes_soon_and_a_broken_edit_leaves_the_last_good_one_in_force(installation, work, policy):
    work.run("web")
    policy.apply("first")
    seen = eventually("policy applied → in force on all nodes", policy.is_in_force, SECONDS, every=0.1)
    nodes = seen["status"]["nodes"]
    assert nodes["inForce"] == nodes["total"] >= 1
    work.shell("web", "/bin/busybox true first-1; true")
    eventually("act → incident", lambda: telling(installation, policy.name, "first-1"), SECONDS)

    policy.apply("first", when='pod.namespace == "x" && process.nonsense == 1')
    message = eventually("broken edit → not accepted", policy.is_refused, SECONDS, every=0.1)
    assert "process.nonsense" in message
    assert "spec.rules[marked].when" in message
    kept = policy.get()
    assert kept["status"]["inForce"]["generation"] == 1
    work.shell("web", "/bin/busybox true first-2; true")
    eventually("act under the last good policy → incident", lambda: count(installation, policy.name) >= 2, SECONDS)


def test_a_policy_changed_under_load_has_no_moment_without_a_guard(installation, work, policy):
    work.run("busy")
    policy.apply("act")
    eventually("policy applied → in force", policy.is_in_force, SECONDS, every=0.1)
    work.shell("busy", f"( {ACTS} ) >/acts 2>/dev/null </dev/null &")
    for change in range(CHANGES):
        policy.apply("act", message=f"{{process.command_line}} was run, by wording {change}")
        eventually(f"change {change} under load → in force", policy.is_in_force, SECONDS, every=0.1)
    work.shell("busy", "echo >/stop")
    acts = int(eventually("the acts end", lambda: work.shell("busy", "busybox cat /acts").strip(), SECONDS))
    began = time.monotonic()
    eventually(f"all of {acts} acts are told", lambda: count(installation, policy.name) >= acts, SECONDS)
    print(f"{acts} acts during {CHANGES} changes, all told {time.monotonic() - began:.1f} s after the last")
    assert count(installation, policy.name) == acts
