"""Texts that the cluster's kinds are written in, beside those of policies; and metadata of objects that lie in no namespace."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from watchkeeper_detection.policy import Metadata
from watchkeeper_detection.policy.shapes import LabelKey, LabelValue, NodeName, Shape

Username = Annotated[str, Shape("a user's name", 512)]
Uid = Annotated[str, Shape("a uid such as 5f0c1a2e-7d2b-4f9e-9a1c-0d1e2f3a4b5c", 36, r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")]
Digest = Annotated[str, Shape("a digest: sha256: and 64 hexadecimal digits", 71, "sha256:[0-9a-f]{64}")]
Quantity = Annotated[
    str, Shape("a quantity such as 250m, 2 or 512Mi (in quotes where it is a number)", 20, r"[0-9]{1,15}(\.[0-9]{1,3})?(m|k|Ki|M|Mi|G|Gi|T|Ti)?")
]
Path = Annotated[str, Shape("a path from the root, or a pattern of one such as /var/log/kubernetes/audit*.log", 512, r"/[!-~]+")]
Version = Annotated[str, Shape("a version such as 0.1.0", 63, "[0-9A-Za-z][0-9A-Za-z.+-]*")]
KindPattern = Annotated[str, Shape("an event kind such as process.exec, or all of a family such as file.*", 63, r"[a-z][a-z0-9_]*\.(\*|[a-z][a-z0-9_]*)")]
ApiKind = Annotated[str, Shape("a kind such as Pod", 63, "[A-Z][A-Za-z0-9]*")]
ObjectName = Annotated[str, Shape("an object's name", 253, "[A-Za-z0-9]([-A-Za-z0-9._:]*[A-Za-z0-9])?")]
Qualified = Annotated[str, Shape("namespace/name", 127, "[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9]*[a-z0-9])?")]
EntityId = Annotated[str, Shape("an id", 256)]
Word = Annotated[str, Shape("one word in lower-case letters, digits, dots and underscores", 63, "[a-z][a-z0-9._]*")]

TaintKey = LabelKey
TaintValue = LabelValue


class ClusterMetadata(Metadata):
    """Of an object that lies in no namespace; one that is written all the same means nothing, to the API server as well."""

    namespace: Annotated[str, Field(max_length=63)] = ""


class NodeMetadata(ClusterMetadata):
    """Of an object that has its node's name."""

    name: NodeName


ApiVersion = Literal["watchkeeper.dev/v1alpha1"]
