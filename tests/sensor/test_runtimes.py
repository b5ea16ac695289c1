"""What the runtimes' files say of a container: names, image, privileges, mounts, namespaces; and files that are not what a runtime writes."""

import json
import os

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchkeeper_sensor.containers.files import FILE_BYTES
from watchkeeper_sensor.containers.runtimes import Runtimes

A = "a" * 64
DIGEST = "sha256:" + "d" * 64
UID = "0f3e4c52-9c51-4f3e-8a45-2b1d0c9e7a10"
HOST = {"network": 4026531840, "process": 4026531836, "ipc": 4026531839, "user": 4026531837}
ORDINARY = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_KILL"]
EVERY = [
    *("CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_PTRACE", "CAP_SYS_BOOT", "CAP_SYS_TIME", "CAP_NET_ADMIN", "CAP_MAC_ADMIN"),
    *("CAP_DAC_READ_SEARCH", "CAP_SYSLOG"),
    *ORDINARY,
]
CONTAINERD = "run/containerd/io.containerd.runtime.v2.task/k8s.io"
STORAGE = "run/containers/storage/overlay-containers"
DOCKER = "var/lib/docker/containers"


def a_bundle(*, caps=ORDINARY, namespaces=("pid", "network", "ipc", "mount"), mounts=(), rules=None, annotations=None, **linux):
    """config.json of an ordinary container."""
    return {
        "ociVersion": "1.1.0",
        "process": {
            "user": {"uid": 101, "gid": 101},
            "args": ["nginx", "-g", "daemon off;"],
            "env": ["PATH=/usr/bin"],
            "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
            "noNewPrivileges": True,
            "apparmorProfile": "cri-containerd.apparmor.d",
        },
        "root": {"path": "rootfs", "readonly": True},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, *mounts],
        "linux": {
            "namespaces": [{"type": kind} for kind in namespaces],
            "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}],
            "resources": {"devices": rules or [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"}]},
            "seccomp": {"defaultAction": "SCMP_ACT_ERRNO"},
            **linux,
        },
        "annotations": annotations or {},
    }


@pytest.fixture
def host(tmp_path):
    """`host(path, content)` writes a file of the host; `host.runtimes()` reads them."""

    def write(path, content):
        at = tmp_path / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return at

    write.root = tmp_path
    write.runtimes = lambda: Runtimes(tmp_path, HOST)
    return write


IN_KUBERNETES = {
    "io.kubernetes.cri.container-type": "container",
    "io.kubernetes.cri.container-name": "web",
    "io.kubernetes.cri.image-name": f"registry.example/shop/web@{DIGEST}",
    "io.kubernetes.cri.sandbox-name": "web-7d9f",
    "io.kubernetes.cri.sandbox-namespace": "shop",
    "io.kubernetes.cri.sandbox-uid": UID,
}


def test_a_container_of_containerd_is_named_by_its_annotations(host):
    mounts = [
        {"destination": "/etc/hosts", "type": "bind", "source": "/var/lib/kubelet/pods/x/etc-hosts", "options": ["rbind", "rprivate", "rw"]},
        {"destination": "/host", "type": "bind", "source": "/var/log/../log", "options": ["rbind", "ro"]},
    ]
    host(f"{CONTAINERD}/{A}/config.json", a_bundle(annotations=IN_KUBERNETES, mounts=mounts))
    container, pod, _ = host.runtimes().find(A)
    assert (container.id, container.resolved, container.runtime, container.type) == (A, True, "containerd", "container")
    assert (container.name, container.image, container.image_digest) == ("web", f"registry.example/shop/web@{DIGEST}", DIGEST)
    assert (pod.name, pod.namespace, pod.uid, pod.static) == ("web-7d9f", "shop", UID, False)
    assert (container.privileged, container.user_id, container.capabilities) == (False, 101, ORDINARY)
    assert (container.read_only, container.no_new_privileges, container.apparmor) == (True, True, "cri-containerd.apparmor.d")
    assert container.mount_sources == ["/var/lib/kubelet/pods/x/etc-hosts", "/var/log"]
    assert container.mount_targets == ["/etc/hosts", "/host"]
    assert container.writable_mount_sources == ["/var/lib/kubelet/pods/x/etc-hosts"]
    assert (container.devices, container.command) == (["/dev/fuse"], ["nginx", "-g", "daemon off;"])
    assert (container.host_process, container.host_network, container.host_ipc, container.user_namespace) == (False, False, False, False)
    assert container.seccomp is None  # a filter, whose name no file tells


@pytest.mark.parametrize("folder", ["run/k3s/containerd", "run/k0s/containerd", "var/snap/microk8s/common/run/containerd"])
def test_containerd_of_other_distributions_is_found(host, folder):
    host(f"{folder}/io.containerd.runtime.v2.task/k8s.io/{A}/config.json", a_bundle(annotations=IN_KUBERNETES))
    assert host.runtimes().find(A).container.name == "web"


def test_a_pods_uid_comes_from_the_cgroup_where_both_tell_it(host):
    host(f"{CONTAINERD}/{A}/config.json", a_bundle(annotations=IN_KUBERNETES | {"io.kubernetes.cri.sandbox-uid": "forged"}))
    assert host.runtimes().find(A, UID).pod.uid == UID


def test_a_static_pod_is_told_by_its_source_or_its_uid(host):
    static = IN_KUBERNETES | {"io.kubernetes.cri.sandbox-uid": "9" * 32}
    host(f"{CONTAINERD}/{A}/config.json", a_bundle(annotations=static))
    assert host.runtimes().find(A).pod.static is True
    host(f"{CONTAINERD}/{A}/config.json", a_bundle(annotations=IN_KUBERNETES | {"kubernetes.io/config.source": "file"}))
    assert host.runtimes().find(A).pod.static is True


PRIVILEGES = {
    "all capabilities and all devices": (a_bundle(caps=EVERY, rules=[{"allow": False, "access": "rwm"}, {"allow": True, "access": "rwm"}]), True),
    "all capabilities without devices": (a_bundle(caps=EVERY), False),
    "all devices without capabilities": (a_bundle(rules=[{"allow": True, "access": "rwm"}]), False),
    "devices that may be read alone": (a_bundle(caps=EVERY, rules=[{"allow": True, "access": "r"}]), False),
    "all character devices alone": (a_bundle(caps=EVERY, rules=[{"allow": True, "type": "c", "access": "rwm"}]), False),
    "devices denied at last": (a_bundle(caps=EVERY, rules=[{"allow": True, "access": "rwm"}, {"allow": False, "access": "rwm"}]), False),
}


@pytest.mark.parametrize(("bundle", "privileged"), PRIVILEGES.values(), ids=PRIVILEGES.keys())
def test_privileged_means_all_capabilities_and_all_devices(host, bundle, privileged):
    host(f"{CONTAINERD}/{A}/config.json", bundle)
    assert host.runtimes().find(A).container.privileged is privileged


def test_a_namespace_that_is_not_listed_is_the_hosts(host):
    host(f"{CONTAINERD}/{A}/config.json", a_bundle(namespaces=("mount", "user"), seccomp=None))
    container = host.runtimes().find(A).container
    assert (container.host_process, container.host_network, container.host_ipc) == (True, True, True)
    assert container.seccomp == "unconfined"
    assert container.user_namespace is True


def test_a_namespace_by_path_is_compared_with_the_hosts(host):
    mine = host("var/run/netns/mine", b"").stat().st_ino
    spec = a_bundle(namespaces=())
    spec["linux"]["namespaces"] = [
        {"type": "network", "path": "/var/run/netns/mine"},
        {"type": "ipc", "path": "/proc/1/ns/ipc"},
        {"type": "pid", "path": "/var/run/gone"},
    ]
    host(f"{CONTAINERD}/{A}/config.json", spec)
    container = host.runtimes().find(A).container
    assert (container.host_network, container.host_ipc, container.host_process) == (False, True, None)
    as_host = Runtimes(host.root, HOST | {"network": mine}).find(A).container
    assert as_host.host_network is True


def test_a_container_of_crio_has_its_image_by_digest(host):
    annotations = {
        "io.container.manager": "cri-o",
        "io.kubernetes.container.name": "db",
        "io.kubernetes.pod.name": "db-0",
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.uid": UID,
        "io.kubernetes.cri-o.ContainerType": "container",
        "io.kubernetes.cri-o.ImageName": "registry.example/db:16",
        "io.kubernetes.cri-o.ImageRef": "e" * 64,
    }
    host(f"{STORAGE}/{A}/userdata/config.json", a_bundle(annotations=annotations))
    container, pod, _ = host.runtimes().find(A)
    assert (container.runtime, container.name, container.image) == ("cri-o", "db", "registry.example/db:16")
    assert container.image_digest == "sha256:" + "e" * 64
    assert (pod.name, pod.namespace, pod.uid) == ("db-0", "shop", UID)


def test_a_sandbox_says_so(host):
    annotations = {"io.container.manager": "cri-o", "io.kubernetes.cri-o.ContainerType": "sandbox", "io.kubernetes.cri-o.KubeName": "db-0"}
    host(f"{STORAGE}/{A}/userdata/config.json", a_bundle(annotations=annotations))
    container, pod, _ = host.runtimes().find(A)
    assert (container.type, pod.name) == ("sandbox", "db-0")


def test_a_container_of_podman_has_its_name_and_image_from_the_lists(host):
    host(f"{STORAGE}/{A}/userdata/config.json", a_bundle(annotations={"io.container.manager": "libpod"}))
    entry = {"id": A, "names": ["web"], "image": "1" * 64, "metadata": json.dumps({"image-name": "registry.example/web:1", "name": "web"})}
    host("var/lib/containers/storage/overlay-containers/volatile-containers.json", [entry])
    host("var/lib/containers/storage/overlay-images/images.json", [{"id": "1" * 64, "digest": DIGEST}])
    container, pod, _ = host.runtimes().find(A)
    assert (container.runtime, container.name, container.image, container.image_digest) == ("podman", "web", "registry.example/web:1", DIGEST)
    assert pod.name is None


def test_a_list_is_read_again_when_it_changes(host):
    host(f"{STORAGE}/{A}/userdata/config.json", a_bundle(annotations={"io.container.manager": "libpod"}))
    runtimes = host.runtimes()
    assert runtimes.find(A).container.name is None
    listed = host("var/lib/containers/storage/overlay-containers/containers.json", [{"id": A, "names": ["web"]}])
    assert runtimes.find(A).container.name == "web"
    listed.write_text(json.dumps([{"id": A, "names": ["renamed"]}]))
    os.utime(listed, ns=(1, 1))
    assert runtimes.find(A).container.name == "renamed"


CONFIG = {
    "ID": A,
    "Name": "/web",
    "Image": DIGEST,
    "Path": "nginx",
    "Args": ["-g", "daemon off;"],
    "State": {"Running": True, "StartedAt": "2026-03-12T02:30:00.5Z"},
    "Config": {"Image": "nginx:1.27", "Hostname": "x"},
    "AppArmorProfile": "docker-default",
    "MountPoints": {"/data": {"Source": "/srv/data", "Destination": "/data", "RW": True}, "/etc/x": {"Source": "/etc/x", "Destination": "/etc/x", "RW": False}},
}


def test_a_container_of_docker_is_told_by_its_two_files(host):
    host(f"{DOCKER}/{A}/config.v2.json", CONFIG)
    host(f"{DOCKER}/{A}/hostconfig.json", {"Privileged": False, "CapAdd": ["SYS_PTRACE"], "CapDrop": ["CAP_MKNOD"], "PidMode": "host", "SecurityOpt": None})
    container, pod, _ = host.runtimes().find(A)
    assert (container.runtime, container.name, container.image, container.image_digest) == ("docker", "web", "nginx:1.27", DIGEST)
    assert container.started_at == "2026-03-12T02:30:00.5Z"
    assert (container.privileged, container.host_process, container.host_network) == (False, True, False)
    assert "CAP_SYS_PTRACE" in container.capabilities
    assert "CAP_MKNOD" not in container.capabilities
    assert (container.mount_sources, container.writable_mount_sources) == (["/srv/data", "/etc/x"], ["/srv/data"])
    assert container.command == ["nginx", "-g", "daemon off;"]
    assert (container.seccomp, container.apparmor) == ("default", "docker-default")
    assert pod.name is None


def test_what_docker_carries_out_goes_before_what_was_asked_for(host):
    host(f"{DOCKER}/{A}/config.v2.json", CONFIG)
    host(f"{DOCKER}/{A}/hostconfig.json", {"Privileged": True})
    moby = "run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby"
    host(f"{moby}/{A}/config.json", a_bundle(caps=EVERY, namespaces=("pid", "ipc"), rules=[{"allow": True, "access": "rwm"}], seccomp=None))
    container = host.runtimes().find(A).container
    assert (container.name, container.privileged, container.host_network, container.capabilities) == ("web", True, True, EVERY)
    assert container.seccomp == "unconfined"


SECCOMP = {
    "none asked for": ({"SecurityOpt": None}, "default"),
    "unconfined": ({"SecurityOpt": ["seccomp=unconfined"]}, "unconfined"),
    "the older way to write it": ({"SecurityOpt": ["seccomp:unconfined"]}, "unconfined"),
    "a profile in full": ({"SecurityOpt": ['seccomp={"defaultAction": "SCMP_ACT_ALLOW"}']}, "custom"),
    "privileged": ({"Privileged": True}, "unconfined"),
}


@pytest.mark.parametrize(("asked", "profile"), SECCOMP.values(), ids=SECCOMP.keys())
def test_dockers_seccomp_profile_is_told(host, asked, profile):
    host(f"{DOCKER}/{A}/config.v2.json", CONFIG)
    host(f"{DOCKER}/{A}/hostconfig.json", asked)
    assert host.runtimes().find(A).container.seccomp == profile


def test_secrets_in_a_command_are_redacted(host):
    bundle = a_bundle()
    bundle["process"]["args"] = ["mysqld", "--password=hunter2hunter2"]
    host(f"{CONTAINERD}/{A}/config.json", bundle)
    assert "hunter2" not in str(host.runtimes().find(A).container.command)


def test_an_id_that_is_a_path_is_never_opened(host):
    host("etc/config.v2.json", CONFIG)
    for name in ("../../../etc", "web", "", A + "\n", A.upper()):
        assert host.runtimes().find(name) is None


def test_a_file_that_is_too_long_or_no_file_is_counted_and_not_read(host):
    path = host(f"{CONTAINERD}/{A}/config.json", b" " * (FILE_BYTES + 1))
    runtimes = host.runtimes()
    assert runtimes.find(A) is None
    path.unlink()
    os.mkfifo(path)
    assert runtimes.find(A) is None
    assert runtimes.reader.unreadable == 2


def test_a_link_is_not_followed(host):
    secret = host("etc/shadow.json", a_bundle(annotations=IN_KUBERNETES))
    link = host.root / f"{CONTAINERD}/{A}/config.json"
    link.parent.mkdir(parents=True)
    link.symlink_to(secret)
    assert host.runtimes().find(A) is None


BROKEN = {
    "no JSON": b"{",
    "an array": b"[]",
    "another type": b'{"process": "nginx"}',
    "nested too deep": b'{"linux": {"seccomp": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "no UTF-8": b'{"annotations": {"io.kubernetes.cri.container-name": "\xff"}}',
    "empty": b"",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_describes_nothing_and_is_counted(host, content):
    host(f"{CONTAINERD}/{A}/config.json", content)
    runtimes = host.runtimes()
    assert runtimes.find(A) is None
    assert runtimes.reader.unreadable == 1


def test_null_is_absent_everywhere(host):
    host(f"{CONTAINERD}/{A}/config.json", {"process": None, "root": None, "mounts": None, "linux": None, "annotations": None})
    host(f"{DOCKER}/{'b' * 64}/config.v2.json", dict.fromkeys(CONFIG))
    host(f"{DOCKER}/{'b' * 64}/hostconfig.json", b"{}")
    runtimes = host.runtimes()
    assert runtimes.find(A).container.resolved is True
    assert runtimes.find("b" * 64).container.resolved is True


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def mutated(value, draw):
    """The value with one of its members replaced."""
    if isinstance(value, dict) and value:
        key = draw(st.sampled_from(sorted(value)))
        return value | {key: draw(json_values) if draw(st.booleans()) else mutated(value[key], draw)}
    if isinstance(value, list) and value:
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], mutated(value[at], draw), *value[at + 1 :]]
    return draw(json_values)


WHERE = {
    f"{CONTAINERD}/{A}/config.json": a_bundle(annotations=IN_KUBERNETES, mounts=[{"destination": "/h", "type": "bind", "source": "/", "options": ["ro"]}]),
    f"{STORAGE}/{A}/userdata/config.json": a_bundle(annotations={"io.container.manager": "libpod"}),
    f"{DOCKER}/{A}/config.v2.json": CONFIG,
}


@pytest.mark.parametrize("path", WHERE)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_whatever_a_file_holds_gives_a_container_or_is_counted(host, path, data):
    is_json = data.draw(st.booleans())
    host(path, json.dumps(mutated(WHERE[path], data.draw)).encode() if is_json else data.draw(st.binary(max_size=300)))
    host("var/lib/containers/storage/overlay-containers/containers.json", data.draw(st.binary(max_size=60)))
    runtimes = host.runtimes()
    found = runtimes.find(A)
    assert found is not None or runtimes.reader.unreadable
    if found:
        assert msgspec.json.encode(found.container)


@pytest.mark.parametrize(
    ("root", "told"),
    [
        ({"path": "rootfs"}, f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{A}/rootfs"),
        ({"path": "/var/lib/docker/overlay2/x/merged"}, "/var/lib/docker/overlay2/x/merged"),
        ({}, None),
    ],
)
def test_where_the_root_of_a_container_lies_on_the_host_is_told_by_its_bundle(host, root, told):
    host(f"run/containerd/io.containerd.runtime.v2.task/k8s.io/{A}/config.json", {"root": root})
    assert host.runtimes().find(A).root == told
