"""Names that a cluster knows us by: namespaces, accounts, the Lease, the field manager, our annotations. Manifests use the same ones."""

from __future__ import annotations

GROUP = "watchkeeper.dev"
VERSION = "v1alpha1"

ROOT_NAMESPACE = "watchkeeper"  # objects only: policies, exceptions, lists, incidents, actions, approvals
SYSTEM_NAMESPACE = "watchkeeper-system"  # Deployments, the DaemonSet, Secrets, Leases, accounts

ACT_ACCOUNT = "watchkeeper-act"  # of the operator
OBSERVE_ACCOUNT = "watchkeeper-observe"  # of the collector: writes nothing to the cluster
SENSOR_ACCOUNT = "watchkeeper-sensor"  # has no rights; its tokens are traded for certificates
CANARY_ACCOUNT = "watchkeeper-canary"  # may do nothing: its refused requests prove what the audit log covers

OPERATOR_LEASE = "watchkeeper-operator"
PAUSE = "watchkeeper-pause"  # ConfigMap: while it is there, whatever it says, nothing is done to the cluster in response. `kubectl watchkeeper pause`
EPOCH_ANNOTATION = f"{GROUP}/epoch"  # of each object that the act account writes: the Lease's leaseTransitions when it was written
FIELD_MANAGER = "watchkeeper"
COLLECTOR_SERVICE = "watchkeeper-collector"
COLLECTOR_AUDIENCE = "watchkeeper-collector"  # of the token that a sensor trades
CA_SECRET = "watchkeeper-ca"  # noqa: S105 (the name of an object)
COLLECTOR_SECRET = "watchkeeper-collector-tls"  # noqa: S105 (the name of an object): what the collector mounts, see authority/files.py
CA_BUNDLE = "watchkeeper-ca"  # ConfigMap with `ca.crt`: what the collector's certificate is checked by
SENSOR_LABEL = f"{GROUP}/sensor"  # of a DaemonSet and its pods: the Sensor
APPLIED_ANNOTATION = f"{GROUP}/applied"  # hash of what was applied
