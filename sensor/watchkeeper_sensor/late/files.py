"""Hashes of files that run and of files that events are about, read in the background (hashing.py)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from watchkeeper_sensor.decoding.descriptor import DESCRIPTOR
from watchkeeper_sensor.decoding.file import FILE, FILE_CHANGE
from watchkeeper_sensor.decoding.memory import MEMORY
from watchkeeper_sensor.decoding.system import KEXEC, MODULE
from watchkeeper_sensor.hashing import key_of
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.records import text
from watchkeeper_sensor.late.source import GIVEN_UP, asked_before

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Iterator

    from watchkeeper_sensor.hashing import Hashes
    from watchkeeper_sensor.kernel.records import Layout

EXE, FILE_HASH, LOADER = "process.exe_hash", "file.hash", "exec.loader"
OF_FILE: dict[str, tuple[Layout, str, str]] = {
    **dict.fromkeys(("file.open", "file.open_by_handle", "file.write"), (FILE, "file_identity", "file_path")),
    **dict.fromkeys(
        ("file.rename", "file.link", "file.chmod", "file.chown", "file.setxattr", "file.utime", "file.truncate", "file.setflags"),
        (FILE_CHANGE, "file_identity", "file_path"),
    ),
    "memory.map": (MEMORY, "file", "path"),
    "module.load": (MODULE, "file", "path"),
    "kexec.load": (KEXEC, "file", "path"),
    **dict.fromkeys(("descriptor.duplicate", "descriptor.receive", "descriptor.take", "descriptor.splice"), (DESCRIPTOR, "file_identity", "file_path")),
}
"""Kinds of events whose file has content worth a hash → layout of the record, names of the identity and of the path in it."""
RESULT, PROCESS = 10, 7  # where the header holds them
OPENS = frozenset({"file.open", "file.open_by_handle"})
MEMBERS = 4  # processes of a container through which a file is looked for
NO_HASH = frozenset({"too_long", "remote"})
"""Of these files the hash is absent; that of others could have been known."""


def program_places(event: Any) -> Iterator[str]:
    """Where the program of an event's process may be opened."""
    image = event.image
    yield f"/proc/{image.process_id}/exe"
    if image.exe:
        yield from _places(event, image.exe)


def _places(event: Any, path: str) -> Iterator[str]:
    """Where the file with this path, as the process sees it, may be opened from here."""
    image, around = event.image, event.around
    yield f"/proc/{image.process_id}/root{path}"
    if image.container_id is None:
        yield f"{around.root}{path}"
        return
    for process_id, _ in around.containers.running.members(image.container_id, MEMBERS):
        yield f"/proc/{process_id}/root{path}"


class Found(NamedTuple):
    """A FILE_IDENTITY tuple, and where the file may be opened; what is there counts for the same file alone, so a wrong place gives nothing."""

    identity: Any
    places: list[str]


def file_of(event: Any) -> Found | None:
    """The file that an event is about; None where it tells none that has content."""
    if event.kind not in OF_FILE:
        return None
    layout, identity_name, path_name = OF_FILE[event.kind]
    made = layout.read(event.record)
    identity = records.FILE_IDENTITY.pick(made, identity_name)
    if not identity.flags & records.KNOWN or event.file.type != "regular":
        return None
    places = [f"/proc/{event.header[PROCESS]}/fd/{event.header[RESULT]}"] if event.kind in OPENS and event.header[RESULT] >= 0 else []
    path = text(event.record, getattr(made, path_name))
    if path and path.startswith("/"):
        places += _places(event, path)
    return Found(identity, places)


def program_of(event: Any) -> Found | None:
    """The program that an event's process runs."""
    image = event.__dict__.get("image")
    identity = image.exe_identity if image is not None else None
    return Found(identity, list(program_places(event))) if identity is not None and identity.flags & records.KNOWN else None


FIELDS: dict[str, Callable[[Any], Found | None]] = {
    EXE: program_of,
    FILE_HASH: file_of,
    LOADER: lambda event: program_of(event) if event.kind == "process.exec" else None,
}
"""Field → the file that it is read from."""


class FileSource:
    """Asks for what is in a file when a rule waits for it. Programs are hashed at their exec already, where a rule reads that hash."""

    def __init__(self, hashes: Hashes, *paths: str) -> None:
        """`paths`: fields that `hashes` gives."""
        self.paths = frozenset(paths)
        self._hashes = hashes
        self._pending: set[Hashable] = set()
        self._settled: list[Hashable] = []

    def awaits(self, event: Any, path: str) -> Hashable | None:
        found = FIELDS[path](event)
        if found is None or self._hashes.known(found.identity) is not None:
            return None
        key = (self, key_of(found.identity))
        if asked_before(event, path) and key not in self._pending:
            return self._missed(found.identity)
        if key not in self._pending:
            self._pending.add(key)
            self._hashes.want(found.identity, found.places, partial(self._done, key))
            if key not in self._pending:  # decided at once
                self._settled.remove(key)
                return self._missed(found.identity)
        return key

    def _missed(self, identity: Any) -> str | None:
        return None if self._hashes.known(identity) is not None or self._hashes.why(identity) in NO_HASH else GIVEN_UP

    def _done(self, key: Hashable, _content: str | None) -> None:
        self._pending.discard(key)
        self._settled.append(key)

    def settled(self) -> Iterable[Hashable]:
        self._hashes.settle()
        found, self._settled = self._settled, []
        return found

    def fill(self, event: Any, paths: Collection[str]) -> None:
        for path in paths:
            found = FIELDS[path](event)
            if found is not None:
                root, _, name = path.partition(".")
                setattr(getattr(event, root), name, self._hashes.known(found.identity) or None)

    def close(self) -> None:
        self._hashes.close()
