"""The lists that Podman and CRI-O keep of containers and images (containers/storage): names, and the digest that an image came by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_sensor.containers.annotations import digest_of
from watchkeeper_sensor.containers.files import INDEX_BYTES, FilesReader

if TYPE_CHECKING:
    from pathlib import Path

LISTS = ("overlay-containers/containers.json", "overlay-containers/volatile-containers.json")
IMAGES = "overlay-images/images.json"
TEXT = 1024


class Entry(msgspec.Struct):
    id: str
    names: list[str] | None = None
    image: str | None = None
    metadata: str | None = None


class Metadata(msgspec.Struct):
    """JSON inside an entry's `metadata`."""

    image_name: str | None = msgspec.field(name="image-name", default=None)


class Image(msgspec.Struct):
    id: str
    digest: str | None = None


class Storage:
    """The lists of one folder, read again when they change."""

    def __init__(self, folder: Path, reader: FilesReader) -> None:
        self.folder = folder
        self._reader = reader
        self._read: dict[str, tuple[int, dict[str, Any]]] = {}

    def fields(self, container_id: str) -> dict[str, Any]:
        """Fields of `container` that the lists tell; empty where they don't know it."""
        entry = next((listed for name in LISTS if (listed := self._entries(name, Entry).get(container_id)) is not None), None)
        if entry is None:
            return {}
        found: dict[str, Any] = {"name": entry.names[0][:TEXT] if entry.names else None, "image": self._image_name(entry)}
        image = self._entries(IMAGES, Image).get(entry.image or "")
        found["image_digest"] = digest_of(image.digest if image and image.digest else entry.image)
        return {field: value for field, value in found.items() if value is not None}

    def _image_name(self, entry: Entry) -> str | None:
        try:
            name = msgspec.json.decode(entry.metadata or "{}", type=Metadata).image_name
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return None
        return name[:TEXT] if name else None

    def _entries(self, name: str, type_: type[Any]) -> dict[str, Any]:
        path = self.folder / name
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            return {}
        before = self._read.get(name)
        if before is None or before[0] != changed:
            entries: list[Any] = self._reader.read(path, list[type_], INDEX_BYTES) or []  # type: ignore[valid-type]
            before = self._read[name] = (changed, {one.id: one for one in entries})
        return before[1]
