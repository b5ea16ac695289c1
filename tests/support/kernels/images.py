"""The guest's two drives: a root that all kernels and runs share, and one per run with the repository and the command."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from tests.support.kernels.matrix import KernelsError
from tests.support.kernels.packages import CACHE, alone, kernel_folder, output

INIT = Path(__file__).with_name("init")
DISK_ID = 0x77617463  # the root is found by it: PARTUUID=77617463-01
SPARE_MIB = 96  # what a run may write to either drive
ROOTS = 4  # kept, those used last: 360 MB each
SLOW_TESTS = "tests/bpf"
# From the host, as tests copy and run them under other names, where busybox would not know itself. All else is busybox.
PROGRAMS = (
    *("sh", "bash", "cat", "chmod", "chown", "cp", "dd", "echo", "env", "false", "head", "id", "kill", "ln", "ls", "mkdir", "mknod", "mv", "readlink", "rm"),
    *("rmdir", "sleep", "sort", "su", "stat", "tail", "tee", "touch", "true", "uname", "wc", "mount", "umount", "unshare", "nsenter", "setpriv", "bpftool"),
)
FOLDERS = (
    *("proc", "sys", "dev", "run", "tmp", "etc", "root", "data", "mnt", "venv", "var/tmp"),
    *("usr/bin", "usr/sbin", "usr/lib/busybox", "usr/lib64", "usr/local/bin"),
)
LIBRARIES = ("/usr/lib/x86_64-linux-gnu/libbpf.so.1", "/usr/lib/x86_64-linux-gnu/libnss_files.so.2", "/lib64/ld-linux-x86-64.so.2")
NOT_OF_PYTHON = ("__pycache__", "site-packages", "test", "idlelib", "ensurepip", "lib2to3", "tkinter", "config-3.*", "*.a")
# Of the environment: what only the host uses. pyarrow is imported when a Parquet file is read, and half of it all.
NOT_OF_VENV = (
    "__pycache__",
    "pyarrow",
    "mypy",
    "mypyc",
    "*__mypyc.*.so",
    "ruff",
    "pip",
    "setuptools",
    "clang_format",
    "grimp",
    "importlinter",
    "ocsf_json_schema",
)
NOT_OF_TREE = (
    ".git",
    ".venv",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    ".import_linter_cache",
    ".grimp_cache",
    "build/kernels",
    "build/lock",
)


def copy(folder: Path, names: list[str], to: Path, leave_out: tuple[str, ...]) -> None:
    """Copy names (files, folders) of a folder, but for what matches a pattern; files that vanish meanwhile are not missed."""
    reader = subprocess.Popen(["tar", "-C", folder, *(f"--exclude={one}" for one in leave_out), "-cf", "-", *names], stdout=subprocess.PIPE)
    output("tar", "-xf", "-", "-C", to, stdin=reader.stdout)
    reader.stdout.close()
    if reader.wait() > 1:  # 1: a file changed while it was read
        raise KernelsError(f"tar could not read {names} of {folder}")


def make_ext4(folder: Path, image: Path, *, disk_id: int = 0) -> None:
    """An ext4 image of the folder, with room to write; with a disk_id as partition 1 of a disk of that id.

    Newer kernels number NVMe drives in the order in which their probes end. PARTUUID is the one lasting name that a kernel without initrd understands.
    """
    size_mib = int(output("du", "-sm", folder).split()[0]) * 5 // 4 + SPARE_MIB
    start_mib = 1 if disk_id else 0
    with image.open("wb") as file:
        file.truncate((start_mib + size_mib) << 20)
        if disk_id:
            partition = struct.pack("<B3sB3sII", 0, bytes(3), 0x83, bytes(3), start_mib * 2048, size_mib * 2048)
            file.write(bytes(0x1B8) + struct.pack("<IH", disk_id, 0) + partition + bytes(48) + b"\x55\xaa")
    output("/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-E", f"offset={start_mib << 20}", "-d", folder, image, f"{size_mib}M")


def programs() -> list[Path]:
    """The host's programs that go into the guest; raises KernelsError for one that is not there."""
    path = "/usr/bin:/usr/sbin:/bin:/sbin"
    found = {name: shutil.which(name, path=path) for name in PROGRAMS}
    if missing := [name for name, place in found.items() if place is None]:
        raise KernelsError(f"not on this host, but needed in the guest: {' '.join(missing)}")
    return [Path(place) for place in found.values()]


def libraries_of(files: list[Path]) -> set[str]:
    """Paths of the shared libraries that ELF files need; those within wheels are found beside them and are not named."""
    found: set[str] = set()
    environment = {**os.environ, "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"}
    for start in range(0, len(files), 100):
        told = subprocess.run(["ldd", *files[start : start + 100]], capture_output=True, text=True, env=environment, check=False).stdout
        found.update(re.findall(r"(?:=> |^\s+)(/\S+) \(0x", told, re.MULTILINE))
    return found


def root_key() -> str:
    """A hash of what the root is made of: this code, the interpreter, the environment's packages, the host's programs and libraries."""
    parts = [INIT.read_bytes(), Path(__file__).read_bytes(), f"{sys.version} {sys.prefix} {sys.base_prefix}".encode()]
    parts += [record.read_bytes() for record in sorted(Path(sysconfig.get_path("purelib")).glob("*.dist-info/RECORD"))]
    files = [*programs(), Path(os.path.realpath(sys.executable)), Path("/bin/busybox")]
    for file in sorted({os.path.realpath(one) for one in [*files, *LIBRARIES, *libraries_of(files)]}):
        about = Path(file).stat()
        parts.append(f"{file} {about.st_size} {about.st_mtime_ns}".encode())
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:12]


def root_image(say) -> Path:
    """The root drive, from the cache or made. Of older ones a few are kept."""
    if sys.prefix == sys.base_prefix:
        raise KernelsError("this must run by the Python of the repository's virtual environment, which goes into the guest")
    image = CACHE / f"root-{root_key()}.ext4"
    with alone("root"):
        if not image.exists():
            started = time.monotonic()
            for old in sorted(CACHE.glob("root-*.ext4"), key=lambda path: path.stat().st_mtime, reverse=True)[ROOTS - 1 :]:
                old.unlink()
            with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
                root, part = Path(scratch, "root"), Path(scratch, "image")
                fill_root(root)
                make_ext4(root, part, disk_id=DISK_ID)
                part.rename(image)
            say(f"kernels: made the guest's root in {time.monotonic() - started:.0f} s")
        image.touch()
    return image


def fill_root(root: Path) -> None:
    for name in FOLDERS:
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    shutil.copy(INIT, root / "init")
    (root / "init").chmod(0o755)
    for name, text in {
        "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
        "group": "root:x:0:\nnogroup:x:65534:\n",
        "hostname": "guest\n",
        "hosts": "127.0.0.1 localhost guest\n::1 localhost\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
        "venv-path": f"{sys.prefix}\n",
    }.items():
        (root / "etc" / name).write_text(text)
    fill_programs(root)
    fill_python(root)


def fill_programs(root: Path) -> None:
    busybox = root / "usr/lib/busybox"
    shutil.copy("/bin/busybox", busybox / "busybox")
    for applet in output("/bin/busybox", "--list").split():
        if applet != "busybox":
            (busybox / applet).symlink_to("busybox")
    for program in programs():
        target = root / "usr" / ("sbin" if program.parent.name == "sbin" else "bin") / program.name
        if program.is_symlink() and program.resolve().parent == program.parent:  # sh → dash: the link is what tests see
            target.symlink_to(program.resolve().name)
            target = target.with_name(program.resolve().name)
        shutil.copy(program.resolve(), target)


def fill_python(root: Path) -> None:
    """The interpreter and its library at their own paths, the environment at /venv (bound to its path at boot), the libraries of it all, compiled code."""
    stdlib, binary = sysconfig.get_path("stdlib"), os.path.realpath(sys.executable)
    home = [path for path in (f"{sys.base_prefix}/bin/python3", f"{sys.base_prefix}/bin/python") if os.path.lexists(path)]
    copy(Path("/"), [path.lstrip("/") for path in dict.fromkeys([*home, binary, stdlib])], root, NOT_OF_PYTHON)
    copy(Path(sys.prefix), ["."], root / "venv", NOT_OF_VENV)
    elfs = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink() and is_elf(path)]
    for library in sorted(libraries_of(elfs) | set(LIBRARIES)):
        target = root / library.lstrip("/")
        if not library.startswith((str(root), sys.prefix)) and not target.exists() and Path(library).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
    # Unchecked, as compiling is slow in a guest. Files that do not compile are templates of packages.
    compiling = [sys.executable, "-m", "compileall", "-q", "-j2", "--invalidation-mode", "unchecked-hash"]
    library = root / stdlib.lstrip("/")
    for strip, prepend, folder in ((root, "/", library), (root / "venv", sys.prefix, root / "venv")):
        subprocess.run([*compiling, "-s", strip, "-p", prepend, folder], capture_output=True, check=False)
    if not list(library.glob("__pycache__/os.*.pyc")):
        raise KernelsError("the guest's Python library could not be compiled")


def is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def compile_tree(tree: Path, to: Path) -> None:
    """Compiled code into the copy of the repository: in a guest it takes longer than the tests. What does not compile is told there.

    Tests are compiled by pytest, which rewrites their asserts; it finds them by the time and size of the source.
    """
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "-j2", "--invalidation-mode", "unchecked-hash", "-s", to, "-p", tree, to], capture_output=True, check=False
    )
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": scratch, "PYTHONDONTWRITEBYTECODE": ""}
        collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", SLOW_TESTS]
        subprocess.run(collect, cwd=tree, env=environment, capture_output=True, check=False)
        mirrored = Path(scratch, *tree.parts[1:])
        for made in mirrored.glob("tests/**/*-pytest-*.pyc"):
            folder = to / made.relative_to(mirrored).parent / "__pycache__"
            folder.mkdir(exist_ok=True)
            shutil.copy(made, folder / made.name)


def data_image(image: Path, series: list[str], tree: Path, place: Path, command: list[str]) -> None:
    """A checkout that is to appear at a place, the kernels' modules, and the command, which starts there; `$OUT` in it is the folder that comes back."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for name in ("tree", "out", "modules"):
            (root / name).mkdir()
        copy(tree, ["."], root / "tree", NOT_OF_TREE)
        compile_tree(tree, root / "tree")
        for one in series:
            shutil.copytree(kernel_folder(one) / "modules", root / "modules", dirs_exist_ok=True)
        (root / "tree-path").write_text(f"{place}\n")
        words = shlex.join(word.replace("$OUT", "/data/out") for word in command)
        (root / "command").write_text(f"cd {shlex.quote(str(place))} && exec {words}\n")
        make_ext4(root, image)
