"""Which package of the host owns the program of a process, or a file that an event is about."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.late.containers import container_of
from watchkeeper_sensor.late.files import file_of
from watchkeeper_sensor.late.source import GIVEN_UP

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable

    from watchkeeper_sensor.packages import Packages
    from watchkeeper_sensor.surroundings import Surroundings

EXE_PACKAGE, FILE_PACKAGE = "process.exe_package", "file.package"
KEY = "packages"


class PackageSource:
    """Waits while the index of packages is behind what is installed. Files of containers have no package of the host."""

    paths = frozenset({EXE_PACKAGE, FILE_PACKAGE})

    def __init__(self, around: Surroundings, packages: Packages) -> None:
        self._root = around.root
        self._packages = packages
        self._is_wanted = False

    def awaits(self, event: Any, path: str) -> Hashable | None:
        name = self._name(event, path)
        if name is None or not self._packages.are_there or self._packages.owner(name) is not None:
            return None
        if self._packages.is_known():
            return GIVEN_UP if self._packages.refused else None
        self._is_wanted = True
        return KEY

    def _name(self, event: Any, path: str) -> str | None:
        """Path by which a package may own the file: the host's, and still that of the same file where the kernel said which one it was."""
        if container_of(event) is not None or "image" not in event.__dict__:
            return None
        if path == EXE_PACKAGE:
            name, identity = event.image.exe, event.image.exe_identity
        else:
            found = file_of(event)
            name, identity = event.file.path, found.identity if found is not None else None
        if not name or not name.startswith("/"):
            return None
        return name if identity is None or not identity.flags & records.KNOWN or self._is_at(name, identity) else None

    def _is_at(self, name: str, identity: Any) -> bool:
        try:
            found = os.stat(f"{self._root}{name}")  # noqa: PTH116 (a path of bytes that a Path would normalise)
        except (OSError, ValueError):
            return False
        return (found.st_ino, found.st_ctime_ns) == (identity.inode, identity.changed_at)

    def settled(self) -> Iterable[Hashable]:
        if not (self._is_wanted and self._packages.is_known()):
            return ()
        self._is_wanted = False
        return (KEY,)

    def fill(self, event: Any, paths: Collection[str]) -> None:
        for path in paths:
            name = self._name(event, path)
            owner = self._packages.owner(name) if name is not None else None
            if owner is not None:
                root, _, field = path.partition(".")
                setattr(getattr(event, root), field, owner)

    def close(self) -> None:
        self._packages.close()
