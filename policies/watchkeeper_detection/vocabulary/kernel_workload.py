"""Rows of `container`, `pod` and `node`: where a process runs.

Names, digest, privileges and mounts come from the runtime's files on the node's disk, which are there before the container's first act as a rule and may
appear after it; labels, owner, service account and addresses come later, from the operator's feed. So all of them are late; a field that is exact as well may
stand in a rule with `kill`, which never acts upon a container that is not known.
"""

from watchkeeper_detection.fields import Field

FIELDS = (
    Field("container.id", "string", "Id of the container, 64 hex digits; absent for a process of the host.", exact=True),
    Field("container.name", "string", "Name of the container in its pod, or the runtime's name for it.", late=True, exact=True, untrusted=True),
    Field("container.runtime", "string", "`containerd`, `cri-o`, `docker`, `podman` or `other`.", late=True),
    Field("container.type", "string", "`container`, `init`, `ephemeral` or `sandbox`.", late=True),
    Field("container.image", "string", "Image as it was asked for, with tag.", late=True, untrusted=True),
    Field("container.image_digest", "string", "Digest of the image that really runs, `sha256:…`.", late=True, exact=True),
    Field("container.started_at", "timestamp", "When the container started."),
    Field("container.cgroup_id", "int", "Id of the container's cgroup.", exact=True),
    Field(
        "container.drift",
        "bool",
        "Whether the acting process's program is not part of the container's image: upper layer of the overlay, memfd, or a file without a name.",
        exact=True,
    ),
    Field("container.privileged", "bool", "Whether it runs privileged: all capabilities and all devices.", late=True, exact=True),
    Field("container.user_id", "int", "User id that the container starts as.", late=True, exact=True),
    Field("container.capabilities", "list(string)", "Capabilities that the container is given.", late=True, exact=True),
    Field("container.host_process", "bool", "Whether it shares the host's pid namespace.", late=True, exact=True),
    Field("container.host_network", "bool", "Whether it shares the host's network namespace.", late=True, exact=True),
    Field("container.host_ipc", "bool", "Whether it shares the host's ipc namespace.", late=True, exact=True),
    Field("container.user_namespace", "bool", "Whether it has a user namespace of its own.", late=True, exact=True),
    Field("container.read_only", "bool", "Whether its root file system is read-only.", late=True, exact=True),
    Field("container.no_new_privileges", "bool", "Whether exec can't grant more rights inside it.", late=True, exact=True),
    Field("container.seccomp", "string", "Seccomp profile: `unconfined`, `default` or the profile's name.", late=True),
    Field("container.apparmor", "string", "AppArmor profile; absent where the host has no AppArmor.", late=True),
    Field("container.mount_sources", "list(string)", "Host paths that are mounted into it.", late=True, exact=True),
    Field("container.mount_targets", "list(string)", "Where they are mounted, in the order of `mount_sources`.", late=True, exact=True),
    Field("container.writable_mount_sources", "list(string)", "Host paths that are mounted into it writable.", late=True, exact=True),
    Field("container.devices", "list(string)", "Host devices that it may use.", late=True, exact=True),
    Field("container.command", "list(string)", "Command that the container starts with.", late=True, untrusted=True),
    Field("container.resolved", "bool", "Whether the container is known; false for a process of a container that no runtime file describes.", late=True),
    Field("pod.name", "string", "Name of the pod; absent outside Kubernetes.", late=True, exact=True),
    Field("pod.namespace", "string", "Namespace of the pod.", late=True, exact=True),
    Field("pod.uid", "string", "UID of the pod.", late=True, exact=True),
    Field("pod.ip", "string", "Address of the pod.", late=True),
    Field("pod.ips", "list(string)", "All addresses of the pod, both families.", late=True),
    Field("pod.labels", "map(string)", "Labels of the pod; whoever may create pods chooses them.", late=True, untrusted=True),
    Field(
        "pod.annotations",
        "map(string)",
        "Annotations of the pod that the operator's feed carries; whoever may create pods chooses them.",
        late=True,
        untrusted=True,
    ),
    Field("pod.service_account", "string", "Service account that the pod runs as.", late=True),
    Field("pod.owner_kind", "string", "Kind of the workload that the pod belongs to, such as `Deployment`; absent for a pod on its own.", late=True),
    Field("pod.owner_name", "string", "Name of the workload that the pod belongs to.", late=True),
    Field(
        "pod.expected_commands",
        "list(string)",
        "Commands of the pod's exec probes and lifecycle hooks, by which its kubelet enters containers; of each the words, joined by U+001F. Whoever may create pods chooses them.",
        late=True,
        untrusted=True,
    ),
    Field("pod.static", "bool", "Whether the kubelet runs it from a file or URL, unasked by the API server.", late=True),
    Field("node.name", "string", "Name of the node; the host's name outside Kubernetes."),
    Field("node.ip", "string", "Address of the node, as its cluster knows it; outside Kubernetes the address of the default route."),
    Field("node.ips", "list(string)", "All addresses of the node."),
    Field("node.labels", "map(string)", "Labels of the node.", late=True),
    Field("node.kernel", "string", "Release of the running kernel."),
    Field("node.boot_id", "string", "Id of this boot of the node."),
    Field("node.cluster", "string", "Name of the cluster; absent outside Kubernetes."),
)
