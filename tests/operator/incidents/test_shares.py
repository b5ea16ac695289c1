from __future__ import annotations

import pytest
from tests.support.detections import a_detection

from watchkeeper_detection.detection import Act, Entity
from watchkeeper_operator.incidents.shares import Share, abouts_of, shares_of, workload_of_pod

IN_POD = Act(process="/bin/sh", process_id=7, pod="shop/cart-6f8d7b5c9-wz8rn", pod_uid="8a2f", workload="shop/cart", node="n1", container_id="c" * 64)
ON_HOST = Act(process="/bin/sh", process_id=7, node="n1")


@pytest.mark.parametrize(
    ("pod", "workload"),
    [
        ("shop/checkout-6f8d7b5c9-wz8rn", "shop/checkout"),
        ("kube-system/kube-proxy-7xk2d", "kube-system/kube-proxy"),
        ("shop/db-0", "shop/db"),
        ("shop/backup-29012345-x7k2d", "shop/backup"),
        ("shop/checkout-6f8d7b5c9-*", "shop/checkout"),  # whose name was to be made up
        ("kube-system/kube-proxy-*", "kube-system/kube-proxy"),
        ("shop/web", "shop/web"),
        ("shop/payments-frontend", "shop/payments-frontend"),  # eight letters, and no vowel-less suffix
        ("kube-system/etcd-control-plane", "kube-system/etcd-control-plane"),
    ],
)
def test_pods_that_controllers_name_are_of_one_workload(pod: str, workload: str) -> None:
    assert workload_of_pod(pod) == workload


@pytest.mark.parametrize(
    ("sentence", "fields", "shares"),
    [
        ("a process in a pod: its workload, and its service account", {"act": IN_POD, "identity": "sa"}, [Share("workload", "shop/cart"), Share("identity", "sa")]),
        ("a process of the host: its node", {"act": ON_HOST, "identity": None}, [Share("node", "n1")]),
        ("a request about a pod: who asks, and the pod's workload", {"target": "namespaces/shop/pods/cart-6f8d7b5c9-wz8rn"}, [Share("identity", "alice"), Share("workload", "shop/cart")]),
        ("a request about secrets: who asks", {"target": "namespaces/shop/secrets/db"}, [Share("identity", "alice")]),
        ("a controller, which acts for everybody: the pod's workload", {"identity": "system:serviceaccount:kube-system:daemon-set-controller", "target": "namespaces/shop/pods/agent-*"}, [Share("workload", "shop/agent")]),
        ("anybody: the address", {"identity": "system:anonymous", "origin": "192.0.2.9"}, [Share("address", "192.0.2.9")]),
        ("a binding, by audit and by the watch", {"identity": None, "target": "clusterrolebindings/x"}, [Share("object", "clusterrolebindings/x")]),
        ("a role of a namespace", {"identity": None, "target": "namespaces/shop/roles/x"}, [Share("object", "namespaces/shop/roles/x")]),
        ("a token asked for", {"target": "namespaces/shop/serviceaccounts/cart"}, [Share("identity", "alice"), Share("identity", "system:serviceaccount:shop:cart")]),
        ("nobody at all: its rule, where it was seen", {"identity": None, "origin": None, "source": "vpcflow"}, [Share("rule", "k8s-pod-exec/exec-in-pod@vpcflow")]),
    ],
)  # fmt: skip
def test_shares(sentence: str, fields: dict[str, object], shares: list[Share]) -> None:
    assert sorted(shares_of(a_detection(**fields))) == sorted(shares), sentence


def test_keys_are_of_one_length_and_differ_by_scope_kind_and_id() -> None:
    keys = {Share(kind, name).key(scope) for kind in ("workload", "identity") for name in ("a", "b\0\x1f", "c" * 10_000) for scope in ("watchkeeper", "shop")}
    assert len(keys) == 12
    assert {len(key) for key in keys} == {32}


def test_a_namespaces_incident_names_no_node() -> None:
    named = {one.kind for one in abouts_of(a_detection(act=IN_POD, namespace="watchkeeper"))}
    assert named == {"pod", "workload", "container", "node"}
    assert {one.kind for one in abouts_of(a_detection(act=IN_POD, namespace="shop"))} == named - {"node"}


def test_of_a_process_its_number_is_no_entity() -> None:
    entities = (Entity("actor", "actor", "/bin/sh[7]"), Entity("identity", "identity", "sa"))
    assert [one.id for one in abouts_of(a_detection(act=ON_HOST, entities=entities))] == ["n1", "sa"]
