"""Kernels from the host's own Debian mirror, kept in a cache: `apt` works on a state of its own, beside the system's."""

from __future__ import annotations

import fcntl
import lzma
import os
import re
import struct
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from tests.support.kernels.matrix import SUITES, KernelsError, Package, kernel_packages, listed, module_package, newest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "watchkeeper" / "kernels"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TOOLS = {  # what must be there → the Debian package that brings it
    "/usr/bin/qemu-system-x86_64": "qemu-system-x86",
    "/usr/share/seabios/bios-256k.bin": "seabios",
    "/bin/busybox": "busybox-static",
    "/sbin/mke2fs": "e2fsprogs",
    "/usr/bin/zstd": "zstd",
    "/usr/bin/lz4": "lz4",
    "/usr/sbin/bpftool": "bpftool",
    "/usr/lib/x86_64-linux-gnu/libbpf.so.1": "libbpf1",
    str(KEYRING): "debian-archive-keyring",
}
MODULES = ("overlay", "veth", "af_alg", "vsock")  # what tests use and a cloud kernel does not have built in
UNPACKERS = {b"\x28\xb5\x2f\xfd": "zstd", b"\x02\x21": "lz4", b"\x1f\x8b": "gzip", b"\xfd7zX": "xz"}
APT_CONF = """\
Dir::Etc::SourceList "{root}/sources.list";
Dir::Etc::SourceParts "{root}/none";
Dir::Etc::Preferences "{root}/none/preferences";
Dir::Etc::PreferencesParts "{root}/none";
Dir::State::Lists "{root}/lists";
Dir::State::status "{root}/status";
Dir::Cache "{root}";
Dir::Cache::archives "{root}/archives";
APT::Architecture "amd64";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
"""


@contextmanager
def alone(name: str):
    """One process at a time makes what is called name; the others wait, and then find it made."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f".{name}-lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def output(*command: object, **options) -> str:
    """What a command prints; raises KernelsError with what it said when it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise KernelsError(f"{' '.join(map(str, command[:6]))} failed with status {done.returncode}: {(done.stderr or done.stdout).strip()[-600:]}")
    return done.stdout


def install_tools(say) -> None:
    """Install the Debian packages that are missing; raises KernelsError for people who may not."""
    missing = [package for file, package in TOOLS.items() if not Path(file).exists()]
    if not missing:
        return
    if os.geteuid() != 0:
        raise KernelsError(f"the guests need these Debian packages: {' '.join(missing)}; install them, or run this as root")
    say(f"kernels: installing {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    output("apt-get", "-qq", "update", env=environment)
    output("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends", *missing, env=environment)


class Apt:
    """apt with sources, lists and cache of its own; the mirror is the one that the system uses."""

    def __init__(self) -> None:
        self.root = CACHE / "packages"
        for folder in ("lists/partial", "archives/partial", "none"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "status").touch()
        (self.root / "sources.list").write_text("".join(self._sources()))
        (self.root / "apt.conf").write_text(APT_CONF.format(root=self.root))
        self.run("apt-get", "update", "-q")
        self.names = set(self.run("apt-cache", "pkgnames", "linux-").split())

    @staticmethod
    def _sources() -> list[str]:
        used = {uri.rstrip("/") for uri in output("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").split()}
        main = next((uri for uri in sorted(used) if uri.endswith("/debian")), None)
        if main is None:
            raise KernelsError("apt has no Debian mirror on this machine (no source ends in /debian): the kernels come from one")
        security = next((uri for uri in sorted(used) if uri.endswith("/debian-security")), f"{main}-security")
        suites = sorted({suite for several in SUITES.values() for suite in several})
        return [f"deb [arch=amd64 signed-by={KEYRING}] {security if suite.endswith('-security') else main} {suite} main\n" for suite in suites]

    def run(self, *command: object, cwd: Path | None = None) -> str:
        return output(*command, cwd=cwd, env={**os.environ, "APT_CONFIG": str(self.root / "apt.conf"), "LC_ALL": "C"})

    def newest(self, series: str) -> Package:
        candidates = kernel_packages(series, self.names)
        return newest(series, listed(self.run("apt-cache", "madison", *candidates)) if candidates else [], self.names)

    def unpack(self, package: Package, folder: Path) -> None:
        """The files of the kernel's packages, under the folder."""
        modules = module_package(package.name)
        for name in (package.name, modules) if modules else (package.name,):
            self.run("apt-get", "download", "-q", f"{name}={package.version}", cwd=folder)
        for deb in folder.glob("*.deb"):
            output("dpkg-deb", "-x", deb, folder / "files")


def kernel_folder(series: str) -> Path:
    """Holds `vmlinux`, `modules` (RELEASE/*.ko, with their order) and `about` (package, version, suite; the modules that were wanted)."""
    return CACHE / series


def is_kept(series: str) -> bool:
    """Whether the cache has the kernel with the modules that are wanted now."""
    about = kernel_folder(series) / "about"
    return about.exists() and about.read_text().splitlines()[1:] == [" ".join(MODULES)]


def fetch(series: list[str], say, *, again: bool = False) -> None:
    """Put the newest kernel of each series into the cache. A cached one stays until somebody asks for it `again`."""
    with alone("kernels"):
        missing = [one for one in series if again or not is_kept(one)]
        if not missing:
            return
        say(f"kernels: fetching {', '.join(missing)}")
        apt = Apt()
        for one in missing:
            package = apt.newest(one)
            with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
                apt.unpack(package, Path(scratch))
                made = Path(scratch, "made")
                keep(package, Path(scratch, "files"), made)
                if kernel_folder(one).exists():
                    kernel_folder(one).rename(Path(scratch, "old"))
                made.rename(kernel_folder(one))
            say(f"kernels: {one} is {package.name} {package.version} of {package.suite}")


def keep(package: Package, files: Path, folder: Path) -> None:
    """What a boot needs of a package's files."""
    folder.mkdir()
    image = next(path for path in sorted(files.rglob("vmlinuz*")) if path.is_file())
    (folder / "vmlinux").write_bytes(vmlinux(image.read_bytes()))
    (folder / "about").write_text(f"{package.name} {package.version} {package.suite}\n{' '.join(MODULES)}\n")
    release = image.name.removeprefix("vmlinuz-") if image.name != "vmlinuz" else image.parent.name
    keep_modules(files, folder / "modules" / release)


def keep_modules(files: Path, folder: Path) -> None:
    """The wanted modules, unpacked, and `order`: what they depend on comes before them."""
    folder.mkdir(parents=True)
    there = {path.name.partition(".")[0].replace("-", "_"): path for path in files.rglob("*.ko*")}
    builtin = {Path(line).stem.replace("-", "_") for path in files.rglob("modules.builtin") for line in path.read_text().splitlines()}
    order: list[str] = []

    def take(name: str) -> None:
        if name in order or name in builtin:
            return
        if name not in there:
            raise KernelsError(f"the kernel's package has no module {name}, and does not list it as built in")
        path = there[name]
        code = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        for needed in module_dependencies(code):
            take(needed)
        (folder / f"{name}.ko").write_bytes(code)
        order.append(name)

    for name in MODULES:
        take(name)
    (folder / "order").write_text("".join(f"{name}\n" for name in order))


def module_dependencies(code: bytes) -> list[str]:
    """Names from the `depends=` line of a module's .modinfo section."""
    line = re.search(rb"depends=([A-Za-z0-9_,-]*)\0", code)
    if line is None:
        raise KernelsError("a module without .modinfo")
    return [name.replace("-", "_") for name in line[1].decode().split(",") if name]


def vmlinux(bzimage: bytes) -> bytes:
    """The ELF kernel inside a bzImage, which spares the guest its emulated unpacking (1–5 s).

    Found by setup_sects, payload_offset and payload_length of the setup header (the kernel's Documentation/arch/x86/boot.rst).
    """
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = ((bzimage[0x1F1] or 4) + 1) * 512 + offset
    payload = bzimage[start : start + length]
    tool = next((tool for magic, tool in UNPACKERS.items() if payload.startswith(magic)), None)
    if tool is None:
        raise KernelsError(f"the kernel is packed in a way not known here: it begins with {payload[:4].hex()}")
    # The stream is followed by four bytes of size, at which the tools end with an error after they wrote everything.
    elf = subprocess.run([tool, "-dcq"], input=payload, capture_output=True, check=False).stdout
    if not elf.startswith(b"\x7fELF"):
        raise KernelsError(f"{tool} gave no ELF file from the kernel's payload")
    return elf
