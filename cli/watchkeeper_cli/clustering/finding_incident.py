"""Where an incident lies whose name somebody gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from watchkeeper_cli.clustering.door import Unread
from watchkeeper_cli.ending import UNREADABLE, USAGE, CommandError
from watchkeeper_operator import kinds
from watchkeeper_operator.shapes import Named

if TYPE_CHECKING:
    from watchkeeper_cli.clustering.door import Door

T = TypeVar("T")


async def find_incident(door: Door, name: str, shape: type[T]) -> T:
    """By `name`, `namespace/name`, or a name and --namespace. Ends the command where there is none, or several."""
    namespace, slash, short = name.rpartition("/")
    if slash and door.namespace not in (None, namespace):
        raise CommandError(f"{name} names another namespace than --namespace {door.namespace}", USAGE)
    where = namespace if slash else door.namespace or await _namespace_of(door, short)
    found = await door.one(kinds.INCIDENTS, shape, short, namespace=where)
    if isinstance(found, Unread):
        raise CommandError(f"{found.why} (context {door.place.name})", UNREADABLE)
    if found is None:
        raise CommandError(
            f"there is no incident {short} in namespace {where}: `kubectl watchkeeper incidents --all` lists those that have an object", UNREADABLE
        )
    return found


async def _namespace_of(door: Door, name: str) -> str:
    """The context's own where the user may not list all."""
    found = await door.all_of(kinds.INCIDENTS, Named, fields=f"metadata.name={name}")
    if isinstance(found, Unread):
        return door.place.namespace
    places = sorted(one.metadata.namespace for one in found)
    if len(places) > 1:
        raise CommandError(f"several incidents are named {name}: in namespaces {', '.join(places)}; say which with --namespace", USAGE)
    if not places:
        raise CommandError(
            f"there is no incident {name} (context {door.place.name}): `kubectl watchkeeper incidents --all` lists those that have an object; older ones are in the operator's store",
            UNREADABLE,
        )
    return places[0]
