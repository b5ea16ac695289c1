"""What NetworkPolicies let through, as the Kubernetes API defines it: for tests of ours, on paper."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from watchkeeper_operator.selectors import selects

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Policy = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Host:
    """A node, or what lies outside: an address that no selector names."""

    address: str


Peer = Pod | Host


def connects(policies: Iterable[Policy], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """A connection is let through where the source may send it and the target may take it."""
    known = list(policies)
    return _passes(known, "Egress", source, target, port, protocol) and _passes(known, "Ingress", target, source, port, protocol)


def _passes(policies: list[Policy], way: str, subject: Peer, other: Peer, port: int, protocol: str) -> bool:
    if isinstance(subject, Host):
        return True
    about = [one for one in policies if way in one["spec"]["policyTypes"] and _is_about(one, subject)]
    rules = [rule for one in about for rule in one["spec"].get(way.lower(), ())]
    return not about or any(_allows(rule, "to" if way == "Egress" else "from", other, port, protocol, subject.namespace) for rule in rules)


def _is_about(policy: Policy, pod: Pod) -> bool:
    return policy["metadata"]["namespace"] == pod.namespace and selects(policy["spec"]["podSelector"], pod.labels)


def _allows(rule: dict[str, Any], word: str, other: Peer, port: int, protocol: str, namespace: str) -> bool:
    ports, peers = rule.get("ports"), rule.get(word)
    return (not ports or any(one["port"] == port and one["protocol"] == protocol for one in ports)) and (
        not peers or any(_is_peer(one, other, namespace) for one in peers)
    )


def _is_peer(written: dict[str, Any], other: Peer, namespace: str) -> bool:
    if "ipBlock" in written:
        return isinstance(other, Host) and ip_address(other.address) in ip_network(written["ipBlock"]["cidr"])
    if isinstance(other, Host):
        return False
    of_namespace = selects(written["namespaceSelector"], other.namespace_labels) if "namespaceSelector" in written else other.namespace == namespace
    return of_namespace and selects(written.get("podSelector", {}), other.labels)
