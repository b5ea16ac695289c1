"""What a request to the Kubernetes API is about, whichever kind carries it: the derived root `kubernetes`.

Each part is computed when a rule first reads it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.cel.functions import opened
from watchkeeper_detection.event import Filled
from watchkeeper_detection.record_types import NO_RAW

if TYPE_CHECKING:
    from collections.abc import Callable

POD_TEMPLATES = (("spec", "jobTemplate", "spec", "template", "spec"), ("spec", "template", "spec"), ("template", "spec"))
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
ROLES = frozenset(("Role", "ClusterRole", "roles", "clusterroles"))
BINDINGS = frozenset(("RoleBinding", "ClusterRoleBinding", "rolebindings", "clusterrolebindings"))
EXTRA = "authentication.kubernetes.io/"
DECISION = "authorization.k8s.io/decision"
ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
PATCH_OPERATIONS = 1000  # of one JSON patch that are looked at


def at(value: Any, *keys: str) -> Any:
    """What stands at these keys; None when something on the way is no object."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; other members are passed over."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def decoded_query(uri: str, name: str) -> list[str]:
    """Values of one parameter of a URI's query, percent-decoded, in order."""
    _, _, query = uri.partition("?")
    values = []
    for part in query.split("&"):
        key, _, value = part.partition("=")
        if key == name:
            raw = value.replace("+", " ").encode("utf-8", "replace")
            values.append(ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), raw).decode("utf-8", "replace"))
    return values


def patched(operations: list[Any]) -> dict[str, Any]:
    """What a JSON patch puts where, as an object: `add /spec/containers/0/image` is `{"spec": {"containers": [{"image": …}]}}`."""
    tree: dict[str, Any] = {}
    for operation in objects(operations)[:PATCH_OPERATIONS]:
        path = operation.get("path")
        if operation.get("op") not in ("add", "replace") or not isinstance(path, str) or "value" not in operation:
            continue
        words = [word.replace("~1", "/").replace("~0", "~") for word in path.split("/")[1:]]
        node = tree
        for word in words[:-1]:
            below = node.get(word)
            if isinstance(below, list):
                below = {str(index): one for index, one in enumerate(below)}
            elif not isinstance(below, dict):
                below = {}
            node[word] = below = dict(below)
            node = below
        last = words[-1] if words else ""
        node[str(len(node)) if last == "-" else last] = operation["value"]
    listed = _with_lists(tree)
    return listed if isinstance(listed, dict) else {}


def _with_lists(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    below = {key: _with_lists(one) for key, one in tree.items()}
    return list(below.values()) if below and all(key.isdecimal() for key in below) else below


class Parts(msgspec.Struct, rename={"type_url": "@type"}, gc=False):
    """What the derived fields below read of an object; metadata and status are most of its bytes, and are not decoded for them."""

    kind: Any = None
    type_url: Any = None
    spec: Any = None
    template: Any = None
    rules: Any = None
    subjects: Any = None


_decode_parts = msgspec.json.Decoder(Parts).decode


def _parts_of(audit: Any, attribute: str) -> Any:
    """A body's parts as an object; the whole body where it is decoded already, or is no object."""
    body = getattr(audit, attribute)
    if body.__class__ is not msgspec.Raw or body is NO_RAW:
        return opened(audit, attribute)
    try:
        parts = _decode_parts(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):  # a list, null, or what only the reader of whole bodies takes
        return opened(audit, attribute)
    found = {"kind": parts.kind, "spec": parts.spec, "template": parts.template, "rules": parts.rules, "subjects": parts.subjects}
    if parts.type_url is not None:
        found["@type"] = parts.type_url
    return found


class _Metadata(msgspec.Struct, rename="camel", frozen=True, gc=False):
    generate_name: Any = None


class _Named(msgspec.Struct, gc=False):
    metadata: _Metadata = _Metadata()


_decode_named = msgspec.json.Decoder(_Named).decode


def beginning_of_name(audit: Any) -> str:
    """`metadata.generateName` of what a request sends; empty where there is none, or where no rule reads what requests send."""
    body = getattr(audit, "requestObject", None)
    if body.__class__ is msgspec.Raw and body is not NO_RAW:
        try:
            beginning = _decode_named(body).metadata.generate_name
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return ""
    else:
        beginning = at(body, "metadata", "generateName")
    return beginning if isinstance(beginning, str) else ""


def _chosen(audit: Any, body: Callable[[Any, str], Any]) -> Any:
    after = body(audit, "responseObject")
    if isinstance(after, dict) and after.get("kind") != "Status" and not str(after.get("@type", "")).endswith(".Status"):
        return after
    sent = body(audit, "requestObject")
    if isinstance(sent, list):
        return patched(sent)
    return sent if isinstance(sent, dict) else None


def _object(view: KubernetesObject) -> Any:
    return _chosen(view.audit, opened)


def _parts(view: KubernetesObject) -> Any:
    return view.__dict__["object"] if "object" in view.__dict__ else _chosen(view.audit, _parts_of)


def _pod_spec(view: KubernetesObject) -> Any:
    whole = view.parts
    for keys in POD_TEMPLATES:
        spec = at(whole, *keys)
        if isinstance(spec, dict):
            return spec
    spec = at(whole, "spec")
    if not isinstance(spec, dict):
        return None
    is_pod = whole.get("kind") == "Pod" or view.audit.objectRef.resource == "pods" or any(isinstance(spec.get(name), list) for name in CONTAINER_LISTS)
    return spec if is_pod else None


def _containers(view: KubernetesObject) -> list[dict[str, Any]] | None:
    spec = view.pod_spec
    return None if spec is None else [container for name in CONTAINER_LISTS for container in objects(spec.get(name))]


def _images(view: KubernetesObject) -> list[str] | None:
    containers = view.containers
    return None if containers is None else [container["image"] for container in containers if isinstance(container.get("image"), str)]


def _members(key: str, names: frozenset[str]) -> Callable[[KubernetesObject], Any]:
    def read(view: KubernetesObject) -> list[dict[str, Any]] | None:
        whole = view.parts
        if not isinstance(whole, dict) or (whole.get("kind") not in names and view.audit.objectRef.resource not in names):
            return None
        found = whole.get(key)
        return objects(found) if isinstance(found, list) else None

    return read


def _command(view: KubernetesObject) -> list[str] | None:
    audit = view.audit
    if audit.objectRef.subresource not in (None, "exec", "attach"):
        return None
    words = decoded_query(audit.requestURI, "command") if audit.requestURI else []
    if not words and audit.objectRef.subresource == "exec":
        sent = at(opened(audit, "requestObject"), "command")
        words = [word for word in sent if isinstance(word, str)] if isinstance(sent, list) else []
    return words or None


def _extra(name: str) -> Callable[[KubernetesObject], str | None]:
    key = EXTRA + name

    def read(view: KubernetesObject) -> str | None:
        extra = opened(view.audit.user, "extra")
        values = extra.get(key) if isinstance(extra, dict) else None
        if isinstance(values, list):
            values = values[0] if values else None
        return values if isinstance(values, str) and values else None

    return read


def _decision(view: KubernetesObject) -> str | None:
    audit = view.audit
    decision = (audit.annotations or {}).get(DECISION)
    if decision:
        return str(decision)
    return "forbid" if audit.responseStatus.code == 403 else None


class KubernetesObject:
    """The root `kubernetes` of one request; holds the request's record, never its event. Each part is computed when first read."""

    def __init__(self, audit: Any) -> None:
        self.audit = audit

    object = Filled("object", _object)
    parts = Filled("parts", _parts)
    pod_spec = Filled("pod_spec", _pod_spec)
    containers = Filled("containers", _containers)
    images = Filled("images", _images)
    rules = Filled("rules", _members("rules", ROLES))
    subjects = Filled("subjects", _members("subjects", BINDINGS))
    command = Filled("command", _command)
    pod_name = Filled("pod_name", _extra("pod-name"))
    pod_uid = Filled("pod_uid", _extra("pod-uid"))
    node_name = Filled("node_name", _extra("node-name"))
    credential_id = Filled("credential_id", _extra("credential-id"))
    decision = Filled("decision", _decision)


_BODIES = frozenset(("audit.requestObject", "audit.responseObject"))
READ_FOR: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        ("kubernetes.object", "kubernetes.pod_spec", "kubernetes.containers", "kubernetes.images", "kubernetes.rules", "kubernetes.subjects"), _BODIES
    ),
    "kubernetes.command": frozenset(("audit.requestURI", "audit.requestObject")),
    **dict.fromkeys(("kubernetes.pod_name", "kubernetes.pod_uid", "kubernetes.node_name", "kubernetes.credential_id"), frozenset(("audit.user.extra",))),
    "kubernetes.decision": frozenset(("audit.annotations", "audit.responseStatus.code")),
}
"""Derived path → what it is made of."""
