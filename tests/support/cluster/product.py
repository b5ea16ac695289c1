"""The product's two images, built where the cluster is: by the Dockerfile as it stands, from wheels and programs that this machine fetched and built.

A local engine reaches no registry, so its base image is made of Debian's packages and the build is told that it is offline.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.cluster.go import kept
from tests.support.cluster.rootfs import LEFT_OUT, SUITE, rootfs
from tests.support.cluster.steps import CACHE, NoKubernetesError, output, step

if TYPE_CHECKING:
    from tests.support.cluster.running import Cluster

REPOSITORY = Path(__file__).parents[3]
BASE_PACKAGES = ("python3", "python3-venv", "libbpf1", "ca-certificates")
PYTHON_VERSION = "3.11"  # of that Debian
TARGETS = {"watchkeeper": "operator", "watchkeeper-sensor": "sensor"}
CONTEXT = (
    "policies",
    "operator",
    "sensor",
    "cli",
    "manifests/base/admission",
    "pyproject.toml",
    "requirements.lock",
    "requirements-sensor.lock",
    "Dockerfile",
    ".dockerignore",
    "README.md",
    "LICENSE",
)


def build(cluster: Cluster) -> dict[str, str]:
    """Target (`operator`, `sensor`) → image name, on every node. Rebuilt when a file of the product changed. Raises NoKubernetesError."""
    wanted = names()
    if not all(cluster.docker("images", "--quiet", name) for name in wanted.values()):
        with step("images built"):
            arguments = _offline(cluster) if cluster.local else []
            for target, name in wanted.items():
                cluster.docker("build", "--quiet", *arguments, "--target", target, "--tag", name, str(REPOSITORY))
            _forget_old(cluster, set(wanted.values()))
    with step("images loaded"):
        cluster.load_image(*wanted.values())
    return wanted


def names() -> dict[str, str]:
    """Target → name of the image that this tree makes."""
    tag = _digest()
    return {target: f"{image}:{tag}" for image, target in TARGETS.items()}


def _digest() -> str:
    files = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard", *CONTEXT], cwd=REPOSITORY, capture_output=True, check=True).stdout
    told = hashlib.sha256()
    for name in sorted(set(files.split(b"\0"))):
        path = REPOSITORY / name.decode()
        if name and path.is_file():
            told.update(name + b"\0" + path.read_bytes())
    return told.hexdigest()[:12]


def _offline(cluster: Cluster) -> list[str]:
    base = f"watchkeeper-base:{_base_key()}"
    if not cluster.docker("images", "--quiet", base):
        cluster.docker("import", str(rootfs(BASE_PACKAGES)), base)
    image = REPOSITORY / "build" / "image"
    shutil.rmtree(image, ignore_errors=True)
    for name in ("wheels", "own"):
        (image / name).mkdir(parents=True)
    output("make", "--no-print-directory", "bpf", cwd=REPOSITORY)
    shutil.copy(REPOSITORY / "build" / "bpf" / "sensor.bpf.o", image)
    for wheel in _wheels().glob("*.whl"):
        shutil.copy2(wheel, image / "wheels")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    output(*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", image / "own", REPOSITORY)
    return [word for argument in (f"DEBIAN={base}", f"PYTHON={base}", "OFFLINE=1") for word in ("--build-arg", argument)]


def _base_key() -> str:
    return hashlib.sha256(repr((SUITE, BASE_PACKAGES, LEFT_OUT)).encode()).hexdigest()[:12]


def _wheels() -> Path:
    """Of everything that the lock names, for the Python of the base image."""
    lock = (REPOSITORY / "requirements.lock").read_bytes()

    def make(folder: Path) -> None:
        machine = output("uname", "-m").strip()
        platforms = [word for name in ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014") for word in ("--platform", f"{name}_{machine}")]
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
            wanted.write(lock.decode())
            wanted.flush()
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder]
            output(*pip, "--python-version", PYTHON_VERSION, "--implementation", "cp", *platforms, "--requirement", wanted.name)

    return kept(CACHE / "k8s" / f"wheels-{hashlib.sha256(lock).hexdigest()[:12]}", make, "wheels of our images")


def _forget_old(cluster: Cluster, wanted: set[str]) -> None:
    """A gigabyte for each change of the source, else."""
    for image in TARGETS:
        for line in cluster.docker("images", "--format", "{{.Repository}}:{{.Tag}}", image).splitlines():
            if line not in wanted:
                try:
                    cluster.docker("rmi", line)
                except NoKubernetesError:  # a container of it runs
                    continue
    cluster.docker("image", "prune", "--force")
