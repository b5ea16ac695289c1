"""What a process may do: user and group ids, capabilities, and rights that nothing explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.decoding.kernel_event import kind
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.programs import BpfProgram
from watchkeeper_sensor.kernel.records import Layout
from watchkeeper_sensor.names import capability_names

if TYPE_CHECKING:
    from watchkeeper_sensor.process import Image

PROCESS, THREAD, RESULT = 7, 8, 10  # where the header holds them
USER = records.NAMESPACES.fields.index("user")
IDS = 7  # of the fields of CREDENTIALS

CREDENTIALS = Layout(
    "credentials_record",
    ("record", records.RECORD),
    ("before", records.CREDENTIALS),
    ("after", records.CREDENTIALS),
    "user_namespace_before I, user_namespace I, known I, padding I",
)

_Credentials: Any = record_type("credentials")


def _sets(held: Any) -> tuple[int, ...]:
    return (held.capabilities_effective, held.capabilities_permitted, held.capabilities_inheritable, held.capabilities_ambient)


def _user_namespace(image: Image) -> int | None:
    return image.namespaces[USER] or None if image.namespaces else None


def _credentials(event: Any) -> Any:
    """Before is what the kernel saw last, or what is known of the process where the kernel sees its thread for the first time."""
    made = CREDENTIALS.read(event.record)
    after = records.CREDENTIALS.pick(made, "after")
    before = records.CREDENTIALS.pick(made, "before") if made.known else event.before.credentials
    its = _Credentials(new_uid=after.uid, new_euid=after.euid, new_gid=after.gid)
    if before is None:
        return its
    its.old_uid, its.old_euid, its.old_gid = before.uid, before.euid, before.gid
    had, has = _sets(before)[0] | _sets(before)[1], _sets(after)[0] | _sets(after)[1]
    its.gained_capabilities, its.lost_capabilities = capability_names(has & ~had), capability_names(had & ~has)
    namespace = made.user_namespace_before if made.known else _user_namespace(event.before)
    its.user_namespace_changed = None if namespace is None else namespace != made.user_namespace
    return its


def _changed(header: tuple[Any, ...], record: bytes, image: Image) -> dict[str, Any] | None:
    """A thread that is not the main one changes itself alone; the C library has every thread make the call."""
    made = CREDENTIALS.read(record)
    after = records.CREDENTIALS.pick(made, "after")
    before = image.credentials
    if not made.known and header[RESULT] >= 0 and before is not None and before[:IDS] == after[:IDS] and _sets(before) == _sets(after):
        return None
    if header[THREAD] != header[PROCESS]:
        return {}
    fields: dict[str, Any] = {"credentials": after}
    if image.namespaces:
        fields["namespaces"] = (*image.namespaces[:USER], made.user_namespace, *image.namespaces[USER + 1 :])
    return fields


LAYOUTS = (CREDENTIALS,)

KINDS = ("credentials.change", "credentials.capabilities", "credentials.unexplained")
CHANGING = ("setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid")
LOOKED_AT = ("getuid", "geteuid", "getresuid", "setgroups", "setns", "unshare", "chroot", "mount", "init_module", "finit_module", "ptrace")
"""Calls that exploits make when they have what they wanted."""

PROGRAMS = (
    BpfProgram("credentials_change", "call", ("credentials.change", "credentials.unexplained"), calls=CHANGING),
    BpfProgram("credentials_capabilities", "call", ("credentials.capabilities", "credentials.unexplained"), calls=("capset", "prctl")),
    BpfProgram("credentials_look", "call", ("credentials.unexplained",), calls=LOOKED_AT),
    BpfProgram("credentials_fork", "tracepoint", KINDS),
    BpfProgram("credentials_exec", "tracepoint", KINDS),
    BpfProgram("credentials_exit", "tracepoint", ("credentials.unexplained",)),
)

EVENTS = tuple(kind(name, {"credentials": _credentials}) for name in KINDS)

CHANGES = dict.fromkeys(KINDS, _changed)
"""Kind → what its record changes about the image of the process."""
