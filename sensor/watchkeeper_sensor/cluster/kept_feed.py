"""The last good feed on disk: a sensor that starts while no collector answers watches with what it was told last."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection.node_wire import NODE_WIRE_VERSION, NodeFeed

if TYPE_CHECKING:
    from pathlib import Path

NAME = "node-feed.json"


def keep(folder: Path, feed: NodeFeed) -> str:
    """Why it can't be kept; empty when it is, whole or not at all."""
    path = folder / NAME
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(msgspec.json.encode(feed))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        return f"the policies can't be kept in {folder}: {error.strerror}"
    return ""


def kept(folder: Path) -> tuple[NodeFeed | None, str]:
    """The feed, and why there is none although there was one."""
    path = folder / NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"{path} can't be read: {error.strerror}"
    try:
        return read_feed(content), ""
    except ValueError as error:
        return None, f"{path} can't be used: {error}"


def read_feed(content: bytes) -> NodeFeed:
    """Raises ValueError for what is no feed of this version."""
    try:
        feed = msgspec.json.decode(content, type=NodeFeed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"no feed: {error}") from None
    if feed.version != NODE_WIRE_VERSION:
        raise ValueError(f"version {feed.version}; this is version {NODE_WIRE_VERSION}")
    return feed
