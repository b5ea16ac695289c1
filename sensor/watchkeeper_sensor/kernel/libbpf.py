"""The one door to libbpf: objects, programs, maps and links, by ctypes on the distribution's `libbpf.so.1`."""

from __future__ import annotations

import ctypes
import os
import struct
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from functools import cache
from typing import TYPE_CHECKING

from watchkeeper_sensor.kernel.constants import constant_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIBRARY = "libbpf.so.1"
LOG_BYTES = 1 << 20  # of the verifier's words about one program
FEW = 3  # programs whose words are kept; many are tried again one by one when they are refused
ANY = 0
PROGRAM_WORDS = 80  # bytes of struct bpf_prog_info, up to the name
SKIPPED_AT = 208  # its recursion_misses: 5.12, 9ed9e9ba2337; what an older kernel does not fill is 0

_SIGNATURES: dict[str, tuple[object, tuple[object, ...]]] = {
    "bpf_object__open_file": (c_void_p, (c_char_p, c_void_p)),
    "bpf_object__load": (c_int, (c_void_p,)),
    "bpf_object__close": (None, (c_void_p,)),
    "bpf_object__next_program": (c_void_p, (c_void_p, c_void_p)),
    "bpf_object__next_map": (c_void_p, (c_void_p, c_void_p)),
    "bpf_program__name": (c_char_p, (c_void_p,)),
    "bpf_program__section_name": (c_char_p, (c_void_p,)),
    "bpf_program__set_autoload": (c_int, (c_void_p, ctypes.c_bool)),
    "bpf_program__set_log_buf": (c_int, (c_void_p, c_char_p, c_size_t)),
    "bpf_program__fd": (c_int, (c_void_p,)),
    "bpf_program__attach": (c_void_p, (c_void_p,)),
    "bpf_program__attach_cgroup": (c_void_p, (c_void_p, c_int)),
    "bpf_link__destroy": (c_int, (c_void_p,)),
    "bpf_link__fd": (c_int, (c_void_p,)),
    "bpf_map__name": (c_char_p, (c_void_p,)),
    "bpf_map__fd": (c_int, (c_void_p,)),
    "bpf_map__key_size": (c_uint32, (c_void_p,)),
    "bpf_map__value_size": (c_uint32, (c_void_p,)),
    "bpf_map__max_entries": (c_uint32, (c_void_p,)),
    "bpf_map__set_max_entries": (c_int, (c_void_p, c_uint32)),
    "bpf_map__reuse_fd": (c_int, (c_void_p, c_int)),
    "bpf_map__set_autocreate": (c_int, (c_void_p, ctypes.c_bool)),
    "bpf_map__initial_value": (c_void_p, (c_void_p, POINTER(c_size_t))),
    "bpf_map__type": (c_int, (c_void_p,)),
    "bpf_map_update_elem": (c_int, (c_int, c_void_p, c_void_p, c_uint64)),
    "bpf_map_lookup_elem": (c_int, (c_int, c_void_p, c_void_p)),
    "bpf_map_delete_elem": (c_int, (c_int, c_void_p)),
    "bpf_map_get_next_key": (c_int, (c_int, c_void_p, c_void_p)),
    "bpf_map_create": (c_int, (c_int, c_char_p, c_uint32, c_uint32, c_uint32, c_void_p)),
    "bpf_obj_get_info_by_fd": (c_int, (c_int, c_void_p, POINTER(c_uint32))),
    "bpf_prog_get_next_id": (c_int, (c_uint32, POINTER(c_uint32))),
    "bpf_prog_get_fd_by_id": (c_int, (c_uint32,)),
    "bpf_link_create": (c_int, (c_int, c_int, c_int, c_void_p)),
    "libbpf_num_possible_cpus": (c_int, ()),
    "libbpf_set_print": (c_void_p, (c_void_p,)),
    "libbpf_major_version": (c_uint32, ()),
    "libbpf_minor_version": (c_uint32, ()),
}


UNFIT = "it was not built whole, or for another version of the agent; run make bpf, or install the sensor anew"


class BpfUnavailableError(Exception):
    """The sensor can't run on this machine; the reason and the remedy are for users."""


class BpfError(OSError):
    """The kernel or libbpf refused; `log` is the end of what the verifier said."""

    def __init__(self, code: int, what: str, log: str = "") -> None:
        super().__init__(code, f"{what}: {os.strerror(code)}")
        self.log = log


class MapCreateOptions(ctypes.Structure):
    """`struct bpf_map_create_opts`, as far as it is used."""

    _fields_ = (
        ("sz", c_size_t),
        ("btf_fd", c_uint32),
        ("btf_key_type_id", c_uint32),
        ("btf_value_type_id", c_uint32),
        ("btf_vmlinux_value_type_id", c_uint32),
        ("inner_map_fd", c_uint32),
        ("map_flags", c_uint32),
        ("map_extra", c_uint64),
        ("numa_node", c_uint32),
        ("map_ifindex", c_uint32),
    )


@cache
def library() -> ctypes.CDLL:
    """libbpf, its own printing turned off: what it has to say is in the errors."""
    try:
        loaded = ctypes.CDLL(LIBRARY, use_errno=True)
    except OSError:
        raise BpfUnavailableError(f"{LIBRARY} is not installed: apt install libbpf1 (1.0 or later)") from None
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(loaded, name, None)
        if function is None:
            raise BpfUnavailableError(f"{LIBRARY} has no {name}: version 1.0 or later is needed")
        function.restype, function.argtypes = result, arguments
    loaded.libbpf_set_print(None)
    return loaded


def give_back_memory() -> None:
    """Hand what loading needed back to the system: libbpf reads the kernel's whole type information."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
    if trim is not None:
        trim(0)


def possible_processors() -> int:
    """How many values a per-processor map holds."""
    return int(library().libbpf_num_possible_cpus())


class BpfMap:
    """A map of the kernel: bytes under bytes."""

    def __init__(self, name: str, fd: int, key_size: int, value_size: int, *, per_processor: bool = False) -> None:
        self.name = name
        self.fd = fd
        self.key_size = key_size
        self.value_size = value_size
        self._read_size = value_size if not per_processor else (value_size + 7) // 8 * 8 * possible_processors()

    def put(self, key: bytes, value: bytes) -> None:
        """`value`: all processors' one after the other in a per-processor map."""
        if len(key) != self.key_size or len(value) != self._read_size:
            sizes = f"takes keys of {self.key_size} and values of {self._read_size} bytes, not {len(key)} and {len(value)}"
            raise BpfUnavailableError(f"the map {self.name} {sizes}: {UNFIT}")
        if library().bpf_map_update_elem(self.fd, key, value, ANY):
            raise BpfError(ctypes.get_errno(), f"could not write to the map {self.name}")

    def get(self, key: bytes) -> bytes | None:
        """The value, all processors' one after the other in a per-processor map; None when there is none."""
        value = ctypes.create_string_buffer(self._read_size)
        return None if library().bpf_map_lookup_elem(self.fd, key, value) else value.raw

    def remove(self, key: bytes) -> None:
        library().bpf_map_delete_elem(self.fd, key)

    def keys(self) -> Iterator[bytes]:
        """Keys as the kernel walks them; what changes meanwhile may be missed or come twice."""
        following = ctypes.create_string_buffer(self.key_size)
        key: bytes | None = None
        while not library().bpf_map_get_next_key(self.fd, key, following):
            key = following.raw
            yield key


def new_map(map_type: int, name: str, key_size: int, value_size: int, entries: int, flags: int) -> BpfMap:
    """A map of its own, to be put into a map of maps. The caller closes `fd`."""
    options = MapCreateOptions(sz=ctypes.sizeof(MapCreateOptions), map_flags=flags)
    fd = library().bpf_map_create(map_type, name.encode(), key_size, value_size, entries, ctypes.byref(options))
    if fd < 0:
        raise BpfError(ctypes.get_errno() or -fd, f"could not make the map {name}")
    return BpfMap(name, fd, key_size, value_size)


def describe(fd: int, words: bytes, size: int) -> bytes:
    """What the kernel says of a program, map or link: `struct bpf_*_info`, which begins as `words` when it is asked for more."""
    room = ctypes.create_string_buffer(words.ljust(size, b"\0"), size)
    if library().bpf_obj_get_info_by_fd(fd, room, ctypes.byref(c_uint32(size))):
        raise BpfError(ctypes.get_errno(), "could not ask what a descriptor is")
    return room.raw


def skipped_runs(fd: int) -> int:
    """How often the kernel did not run a program because it was still running on that processor, for a task that was preempted."""
    return int.from_bytes(describe(fd, b"", SKIPPED_AT + 8)[SKIPPED_AT:], "little")


def instructions_of(fd: int, length: int) -> bytes:
    """A program's instructions, as the verifier left them: `length` bytes, which `struct bpf_prog_info` says."""
    room = ctypes.create_string_buffer(length)
    describe(fd, struct.pack("<II8sIIQQ", 0, 0, b"", 0, length, 0, ctypes.addressof(room)), PROGRAM_WORDS)
    return room.raw


def program_ids() -> Iterator[int]:
    """Ids of every program in the kernel, whoever loaded it."""
    following = c_uint32(0)
    while not library().bpf_prog_get_next_id(following.value, ctypes.byref(following)):
        yield following.value


def program_by_id(program_id: int) -> int | None:
    """A descriptor of the program, which the caller closes; None when it is gone."""
    fd = library().bpf_prog_get_fd_by_id(program_id)
    return int(fd) if fd >= 0 else None


class BpfObject:
    """One object file, opened; programs load when `load` is called. Closes everything it made when it is closed."""

    def __init__(self, path: Path) -> None:
        self._library = library()
        self._handle = self._library.bpf_object__open_file(os.fsencode(path), None)
        if not self._handle:
            raise BpfUnavailableError(f"{path} can't be read as an object ({os.strerror(ctypes.get_errno())}): {UNFIT}")
        self._path = path
        self._programs = {self._library.bpf_program__name(handle).decode(): handle for handle in self._each(self._library.bpf_object__next_program)}
        self._maps = {self._library.bpf_map__name(handle).decode(): handle for handle in self._each(self._library.bpf_object__next_map)}
        self._links: dict[str, int] = {}
        self._chosen: frozenset[str] = frozenset()
        self._loaded: frozenset[str] = frozenset()
        self._logs: dict[str, ctypes.Array[ctypes.c_char]] = {}

    def _each(self, following: ctypes._NamedFuncPointer) -> Iterator[int]:
        handle = None
        while handle := following(self._handle, handle):
            yield handle

    @property
    def programs(self) -> tuple[str, ...]:
        return tuple(self._programs)

    def holds(self, program: str) -> bool:
        """Whether the program is loaded."""
        return program in self._loaded

    def section(self, program: str) -> str:
        return str(self._library.bpf_program__section_name(self._programs[program]).decode())

    def choose(self, programs: set[str]) -> None:
        """Load these programs and no others. Raises BpfUnavailableError for one that there is not."""
        if missing := programs - self._programs.keys():
            raise BpfUnavailableError(f"{self._path} has no program {min(missing)}: {UNFIT}")
        self._chosen = frozenset(programs)
        for name, handle in self._programs.items():
            self._library.bpf_program__set_autoload(handle, name in programs)
            if name in programs and len(programs) <= FEW:
                log = self._logs[name] = ctypes.create_string_buffer(LOG_BYTES)
                self._library.bpf_program__set_log_buf(handle, log, LOG_BYTES)

    def share(self, other: BpfObject) -> None:
        """Use the maps of another object, loaded already, in place of maps of its own. Constants stay its own."""
        for name, handle in self._maps.items():
            if "." not in name and self._library.bpf_map__reuse_fd(handle, other.map(name).fd):
                raise BpfError(ctypes.get_errno(), f"could not share the map {name}")

    def resize(self, map_name: str, entries: int) -> None:
        self._library.bpf_map__set_max_entries(self._maps[map_name], entries)

    def set_constant(self, name: str, value: bytes) -> None:
        """Give a constant of the programs its value, before they are loaded. Raises BpfUnavailableError where there is none of this name and size."""
        place = constant_at(self._path, name)
        size = c_size_t()
        constants = next(handle for found, handle in self._maps.items() if found.endswith(".rodata"))
        start = self._library.bpf_map__initial_value(constants, ctypes.byref(size))
        if place is None or place.size != len(value) or place.offset + place.size > size.value:
            raise BpfUnavailableError(f"{self._path} has no constant {name} of {len(value)} bytes: {UNFIT}")
        ctypes.memmove(start + place.offset, value, len(value))

    def load(self) -> None:
        """Raises BpfError with the end of the verifier's log."""
        code = self._library.bpf_object__load(self._handle)
        if code:
            logs = {name: log.value.decode(errors="replace") for name, log in self._logs.items() if log.value}
            raise BpfError(-code, "the kernel refused the programs", "\n".join(f"{name}: {log[-2000:]}" for name, log in logs.items()))
        self._logs.clear()
        self._loaded = self._chosen

    def program_fd(self, program: str) -> int:
        return int(self._library.bpf_program__fd(self._programs[program]))

    def map(self, name: str) -> BpfMap:
        """Raises BpfUnavailableError where there is none."""
        if name not in self._maps:
            raise BpfUnavailableError(f"{self._path} has no map {name}: {UNFIT}")
        handle, its = self._maps[name], self._library
        per_processor = its.bpf_map__type(handle) in (5, 6, 10)
        return BpfMap(name, its.bpf_map__fd(handle), its.bpf_map__key_size(handle), its.bpf_map__value_size(handle), per_processor=per_processor)

    def program_fds(self) -> dict[str, int]:
        """Descriptors of the programs that are loaded."""
        return {name: self.program_fd(name) for name in self._loaded}

    def map_fds(self) -> dict[str, int]:
        return {name: int(self._library.bpf_map__fd(handle)) for name, handle in self._maps.items()}

    def link_fds(self) -> dict[str, int]:
        """Descriptors of what holds attached programs in force."""
        return {name: int(self._library.bpf_link__fd(link)) for name, link in self._links.items()}

    def entries(self, name: str) -> int:
        return int(self._library.bpf_map__max_entries(self._maps[name]))

    def attach(self, program: str, *, cgroup_fd: int | None = None) -> None:
        """Raises BpfError where the kernel refuses."""
        handle = self._programs[program]
        link = self._library.bpf_program__attach(handle) if cgroup_fd is None else self._library.bpf_program__attach_cgroup(handle, cgroup_fd)
        if not link:
            raise BpfError(ctypes.get_errno(), f"could not attach {program}")
        self._links[program] = link

    def is_attached(self, program: str) -> bool:
        return program in self._links

    @property
    def attached(self) -> int:
        return len(self._links)

    def detach(self, program: str) -> None:
        if link := self._links.pop(program, None):
            self._library.bpf_link__destroy(link)

    def close(self) -> None:
        for program in list(self._links):
            self.detach(program)
        if self._handle:
            self._library.bpf_object__close(self._handle)
            self._handle = None
