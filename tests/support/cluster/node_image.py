"""The image of a node, as kind wants it: Debian, kind's own files out of its Go module, our binaries, and the control plane's images loaded before."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import tempfile
import time
from pathlib import Path

from tests.support.cluster.engine import docker
from tests.support.cluster.go import module_folder
from tests.support.cluster.kubebox import COMPONENTS, components
from tests.support.cluster.programs import KIND, programs
from tests.support.cluster.rootfs import rootfs
from tests.support.cluster.steps import NoKubernetesError, await_, output, step

FILES = Path(__file__).parent / "node"
REPOSITORY = "wk-node"
BASE, DEBIAN, PLAIN, PROXY = f"{REPOSITORY}-base:1", "wk-rootfs:1", "watchkeeper.test/components:1", "wk-proxy:1"
ON_PATH = "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENTRYPOINT = 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]'


def name() -> str:
    """Tagged by all that goes into it."""
    parts = [str(folder) for folder in (components(), programs(), rootfs())]
    content = [path.read_bytes() for path in sorted(FILES.iterdir())]
    return f"{REPOSITORY}:{hashlib.sha256(repr(parts).encode() + b''.join(content)).hexdigest()[:16]}"


def node_image() -> str:
    """Its name, built if the engine does not have it: half a minute to one."""
    wanted = name()
    if not docker("images", "--quiet", wanted):
        with step("node image built"), tempfile.TemporaryDirectory(prefix="watchkeeper-node-") as folder:
            _build(wanted, Path(folder))
        _forget_others(wanted)
    return wanted


def _forget_others(wanted: str) -> None:
    """Of earlier sources: a gigabyte each."""
    for other in docker("images", "--format", "{{.Repository}}:{{.Tag}}", REPOSITORY).split():
        if other != wanted:
            with contextlib.suppress(NoKubernetesError):  # a cluster that still runs uses it
                docker("rmi", other)
    docker("image", "prune", "--force")


def _build(wanted: str, scratch: Path) -> None:
    docker("import", rootfs(), DEBIAN)
    kind_files = module_folder(f"sigs.k8s.io/kind@{KIND}") / "images" / "base" / "files"
    version = json.loads(output(components() / "kubectl", "version", "--client", "-o", "json"))["clientVersion"]["gitVersion"]
    docker("save", "--output", scratch / "images.tar", *_component_images(version, kind_files, scratch))
    _node_files(scratch / "root", kind_files, version)
    shutil.copy(FILES / "Dockerfile", scratch / "Dockerfile")
    (scratch / ".dockerignore").write_text("*\n!root\n")
    docker("build", "--quiet", "--tag", BASE, scratch)
    _preload(wanted, (scratch / "images.tar").read_bytes())


def _component_images(version: str, kind_files: Path, scratch: Path) -> list[str]:
    """Names of the images that kubeadm asks for, made of one binary."""
    folder = scratch / "components"
    (folder / "bin").mkdir(parents=True)
    shutil.copy(components() / "kubebox", folder / "bin" / "kubebox")
    for component in COMPONENTS:
        (folder / "bin" / component).symlink_to("kubebox")
    for tag, base in ((PLAIN, "scratch"), (PROXY, DEBIAN)):  # the proxy executes iptables
        (folder / "Dockerfile").write_text(f"FROM {base}\nCOPY bin/ /usr/local/bin/\n{ON_PATH}\n")
        docker("build", "--quiet", "--tag", tag, folder)
    names = [PLAIN]
    for image in output(components() / "kubeadm", "config", "images", "list", "--kubernetes-version", version).split():
        if "coredns" in image:
            docker("build", "--quiet", "--tag", image, "-", stdin=f'FROM {PLAIN}\nENTRYPOINT ["coredns"]\n')
        elif "pause" not in image:
            docker("tag", PROXY if "kube-proxy" in image else PLAIN, image)
        if "pause" not in image:
            names.append(image)
    shutil.rmtree(folder)
    return [*names, _pause(kind_files, scratch)]


def _pause(kind_files: Path, scratch: Path) -> str:
    """The image that holds a pod's namespaces, by the name that kind's containerd asks for."""
    found = re.search(r'sandbox_image = "(.*)"', (kind_files / "etc" / "containerd" / "config.toml").read_text())
    if found is None:
        raise NoKubernetesError(f"kind {KIND} names no sandbox image: look at its containerd/config.toml")
    folder = scratch / "pause"
    folder.mkdir()
    shutil.copy(programs() / "pause", folder / "pause")
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n')
    docker("build", "--quiet", "--tag", found[1], folder)
    return found[1]


def _node_files(root: Path, kind_files: Path, version: str) -> None:
    shutil.copytree(kind_files, root, symlinks=True)
    output("chmod", "-R", "u+w", root)
    for path in (*(root / "usr/local/bin").iterdir(), *(root / "kind/bin").iterdir()):
        path.chmod(0o755)
    for folder in ("opt/cni/bin", "usr/local/sbin", "usr/bin", "kind/manifests", "etc/kubernetes/manifests"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for program in ("containerd", "ctr", "containerd-shim-runc-v2"):
        shutil.copy(programs() / program, root / "usr/local/bin")
    for plugin in ("host-local", "loopback", "ptp", "portmap"):
        shutil.copy(programs() / plugin, root / "opt/cni/bin")
    shutil.copy(FILES / "runc-held", root / "usr/local/sbin")
    shutil.copy(components() / "kubebox", root / "usr/bin/kubebox")
    for component in ("kubelet", "kubeadm", "kubectl"):
        (root / "usr/bin" / component).symlink_to("kubebox")
    (root / "kind/version").write_text(version)
    shutil.copy(FILES / "default-storage.yaml", root / "kind/manifests")
    (root / "kind/manifests/default-cni.yaml").write_text("# no default network: see cni.template\n")
    shutil.copy(FILES / "cni.template", root / "etc/containerd")
    _configure_containerd(root / "etc/containerd/config.toml")


def _configure_containerd(path: Path) -> None:
    """Our runtime wrapper, our pod network; and it may not lower a score of the out-of-memory killer here."""
    text = path.read_text().replace("restrict_oom_score_adj = false", "restrict_oom_score_adj = true")
    text = text.replace("    SystemdCgroup = true\n", '    SystemdCgroup = true\n    BinaryName = "/usr/local/sbin/runc-held"\n', 1)
    if "restrict_oom_score_adj = true" not in text or "runc-held" not in text:
        raise NoKubernetesError(f"kind {KIND} configures containerd in a new way: look at node_image.py")
    path.write_text(f'{text}\n[plugins."io.containerd.grpc.v1.cri".cni]\n  conf_template = "/etc/containerd/cni.template"\n')


def _preload(wanted: str, images: bytes) -> None:
    """containerd runs once in a container of the node, so that its store has the images."""
    container = docker("run", "--detach", "--privileged", "--entrypoint", "/bin/sleep", BASE, "infinity")
    try:
        docker("exec", "--privileged", "--detach", container, "containerd")

        def answers() -> bool:
            with contextlib.suppress(NoKubernetesError):
                return bool(docker("exec", container, "ctr", "version"))
            return False

        await_("containerd in the node image", answers, 30)
        docker(
            "exec", "--privileged", "--interactive", container, "ctr", "-n", "k8s.io", "images", "import", "--all-platforms", "--no-unpack", "-", stdin=images
        )
        docker("exec", container, "sh", "-c", "kill $(pidof containerd)")
        time.sleep(1)  # it writes its store
        docker("commit", "--change", ENTRYPOINT, container, wanted)
    finally:
        docker("rm", "--force", "--volumes", container)
