"""Windows event logs: evtx as JSON, Winlogbeat, NXLog and other flat shippers → one shape.

Source of the facts: the event schema of Windows, https://learn.microsoft.com/windows/win32/wes/eventschema-schema, and the
shippers' field lists (Elastic Winlogbeat, NXLog im_msvistalog).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from watchkeeper_detection import subject
from watchkeeper_detection.event import Event
from watchkeeper_detection.logs.provider import Provider, RecordRejected, common_fills, time_ns
from watchkeeper_detection.record_types import record_type

if TYPE_CHECKING:
    from collections.abc import Iterable

    import msgspec

    from watchkeeper_detection.logs.provider import Reads, RecordPlace

SYSMON = "Microsoft-Windows-Sysmon"
ENVELOPE = frozenset(  # of flat records: what the shipper adds, not the event's own data
    (
        *("EventID", "Channel", "SourceName", "ProviderName", "ProviderGuid", "Hostname", "RecordNumber", "EventTime", "Severity", "SeverityValue"),
        *("EventReceivedTime", "SourceModuleName", "SourceModuleType", "@timestamp", "@version", "host", "port", "tags", "Keywords", "Opcode"),
        *("OpcodeValue", "Task", "Version", "ExecutionProcessID", "ThreadID", "EventTypeOrignal", "Category", "Message"),
    )
)
PROVIDERS_OF_CHANNEL = {"Microsoft-Windows-Sysmon/Operational": SYSMON, "Security": "Microsoft-Windows-Security-Auditing"}
FAILURES = frozenset({4625, 4771, 4776, 4768, 4769, 4656, 4673})  # Security events whose status says whether they failed
IMAGES = ("Image", "NewProcessName", "SourceImage", "ProcessName")
PARENTS = ("ParentImage", "ParentProcessName")
COMMANDS = ("CommandLine", "ProcessCommandLine")
USERS = (("User", ""), ("SubjectUserName", "SubjectDomainName"), ("SourceUser", ""), ("AccountName", "Domain"), ("TargetUserName", "TargetDomainName"))
NO_USERS = frozenset({"", "-", "n/a"})


def _text(value: Any) -> str | None:
    """A scalar as text; `#text` of an element with attributes."""
    if isinstance(value, dict):
        value = value.get("#text")
    if isinstance(value, str):
        return value or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return None


def _integer(value: Any) -> int | None:
    text = _text(value)
    return int(text) if text is not None and text.isdecimal() and len(text) < 19 else None


def _attribute(value: Any, name: str) -> Any:
    """An attribute of an element, however its writer marks attributes."""
    if not isinstance(value, dict):
        return None
    attributes = value.get("#attributes")
    if isinstance(attributes, dict):
        return attributes.get(name)
    return value.get(name, value.get(f"@{name}"))


def _named_values(value: Any) -> dict[str, Any]:
    """EventData as name → value: a plain object, or the list of Data elements with a Name."""
    if not isinstance(value, dict):
        return {}
    rows = value.get("Data")
    if isinstance(rows, list):
        named = {_attribute(row, "Name"): _text(row) for row in rows if isinstance(row, dict)}
        return {name: text for name, text in named.items() if isinstance(name, str)} or {"Data": rows}
    return {name: below for name, below in value.items() if name != "#attributes"}


def _first_object(value: Any) -> Any:
    """UserData holds one element that holds the names."""
    if isinstance(value, dict):
        return next((below for name, below in value.items() if name != "#attributes" and isinstance(below, dict)), value)
    return None


def from_evtx(record: dict[str, Any]) -> dict[str, Any]:
    """`Event.System` and `Event.EventData`, as tools that read evtx files write XML as JSON."""
    event = record["Event"]
    system = event.get("System")
    if not isinstance(system, dict):
        raise RecordRejected("a Windows event without System")
    return {
        "EventID": _integer(system.get("EventID")),
        "Channel": _text(system.get("Channel")),
        "Provider": _text(_attribute(system.get("Provider"), "Name")),
        "Computer": _text(system.get("Computer")),
        "RecordID": _integer(system.get("EventRecordID")),
        "TimeCreated": _text(_attribute(system.get("TimeCreated"), "SystemTime")),
        "Level": _text(system.get("Level")),
        "UserID": _text(_attribute(system.get("Security"), "UserID")),
        "EventData": _named_values(event.get("EventData") or _first_object(event.get("UserData"))),
    }


def from_winlogbeat(record: dict[str, Any]) -> dict[str, Any]:
    """`winlog.…` of Winlogbeat 7 and later, or the same names at the top of version 6."""
    log = record.get("winlog")
    if not isinstance(log, dict):
        log = record
    host = record.get("host")
    user = log.get("user")
    time = record.get("@timestamp")
    return {
        "EventID": _integer(log.get("event_id")),
        "Channel": _text(log.get("channel") or log.get("log_name")),
        "Provider": _text(log.get("provider_name") or log.get("source_name")),
        "Computer": _text(log.get("computer_name") or (host.get("name") if isinstance(host, dict) else host)),
        "RecordID": _integer(log.get("record_id") or log.get("record_number")),
        "TimeCreated": _text(log.get("time_created") or time),
        "Level": _text(record.get("level") or (record["log"].get("level") if isinstance(record.get("log"), dict) else None)),
        "UserID": _text(user.get("identifier")) if isinstance(user, dict) else None,
        "EventData": {**_named_values(_first_object(log.get("user_data"))), **_named_values(log.get("event_data"))},
    }


def from_flat(record: dict[str, Any]) -> dict[str, Any]:
    """NXLog and its like: everything at the top."""
    channel = _text(record.get("Channel"))
    provider = record.get("SourceName") or record.get("ProviderName") or record.get("Provider_Name")
    return {
        "EventID": _integer(record.get("EventID")),
        "Channel": channel,
        "Provider": _text(provider) or PROVIDERS_OF_CHANNEL.get(channel or ""),
        "Computer": _text(record.get("Hostname") or record.get("Computer") or record.get("host")),
        "RecordID": _integer(record.get("RecordNumber") or record.get("EventRecordID")),
        "TimeCreated": _text(record.get("@timestamp") or record.get("TimeCreated") or record.get("EventTime")),
        "Level": _text(record.get("Severity") or record.get("Level")),
        "UserID": _text(record.get("UserID")),
        "EventData": {name: value for name, value in record.items() if name not in ENVELOPE},
    }


def recognise(record: dict[str, Any]) -> bool:
    event = record.get("Event")
    if isinstance(event, dict):
        return isinstance(event.get("System"), dict) and "EventID" in event["System"]
    log = record.get("winlog")
    if isinstance(log, dict):
        return "event_id" in log
    if "event_data" in record and "event_id" in record:
        return True
    return "EventID" in record and ("Channel" in record or "SourceName" in record)


def normalised(record: dict[str, Any]) -> dict[str, Any]:
    """The fields of root `windows`, whichever shape the record has. Raises RecordRejected for one without a number."""
    if isinstance(record.get("Event"), dict):
        found = from_evtx(record)
    elif isinstance(record.get("winlog"), dict) or "event_data" in record:
        found = from_winlogbeat(record)
    else:
        found = from_flat(record)
    if found["EventID"] is None:
        raise RecordRejected("a Windows event without a number (EventID)")
    return found


def _lower(data: dict[str, Any], names: tuple[str, ...]) -> str | None:
    text = next((text for name in names if (text := _text(data.get(name)))), None)
    return text.lower() if text and text != "-" else None


def file_name(path: str | None) -> str | None:
    """All after the last backslash (or slash, which Windows takes too)."""
    return path.replace("/", "\\").rpartition("\\")[2] or None if path else None


def _guid(data: dict[str, Any], name: str) -> str | None:
    text = _text(data.get(name))
    return text.strip("{}").lower() if text else None


def process_of(data: dict[str, Any]) -> dict[str, str | None]:
    """What `windows.process` says, from the data of any event that names a process."""
    image, parent = _lower(data, IMAGES), _lower(data, PARENTS)
    return {
        "image": image,
        "name": file_name(image),
        "original_name": _lower(data, ("OriginalFileName",)),
        "command_line": _lower(data, COMMANDS),
        "parent_image": parent,
        "parent_name": file_name(parent),
        "parent_command_line": _lower(data, ("ParentCommandLine",)),
        "guid": _guid(data, "ProcessGuid") or _guid(data, "SourceProcessGUID"),
        "parent_guid": _guid(data, "ParentProcessGuid"),
    }


@cache
def _types() -> tuple[type[msgspec.Struct], type[msgspec.Struct]]:
    root = record_type("windows")
    return root, type(root().process)  # type: ignore[attr-defined]


def events(record: dict[str, Any], place: RecordPlace, _reads: Reads) -> Iterable[Event]:
    found = normalised(record)
    root, process = _types()
    event = Event("windows.event", source_of(found["Channel"], found["Provider"]), place.stream, place.number, place.offset, FILLS)
    event.__dict__["windows"] = root(**found, process=process(**process_of(found["EventData"])))
    return (event,)


def source_of(channel: str | None, provider: str | None) -> str:
    if provider == SYSMON or (channel or "").lower() == "microsoft-windows-sysmon/operational":
        return "windows-sysmon"
    return "windows-security" if (channel or "").lower() == "security" else "windows-other"


def _user(event: Event) -> str | None:
    """Domain and user of the one who acted; the target of a logon is who logged on."""
    data = event.windows.EventData
    pairs = reversed(USERS) if event.windows.EventID in (4624, 4625) else iter(USERS)
    for name, domain in pairs:
        user = _text(data.get(name))
        if user is not None and user.lower() not in NO_USERS:
            where = _text(data.get(domain)) if domain else None
            return f"{where}\\{user}" if where and where != "-" and "\\" not in user else user
    return None


def _who(event: Event) -> msgspec.Struct:
    user = _user(event)
    if user is None:
        return subject.identity(event.windows.UserID)
    name = user.rpartition("\\")[2].upper()
    is_service = name.endswith("$") or name in ("SYSTEM", "LOCAL SERVICE", "NETWORK SERVICE")
    return subject.identity(user, "service" if is_service else "user")


def _target(event: Event) -> msgspec.Struct:
    data = event.windows.EventData
    names = ("TargetFilename", "TargetImage", "TargetObject", "ObjectName", "ServiceName", "TaskName", "DestinationIp", "Image", "NewProcessName")
    name = next((text for one in names if (text := _text(data.get(one)))), None)
    return subject.target(type="host" if name is None else None, name=name or event.windows.Computer, id=name or event.windows.Computer)


def _outcome(event: Event) -> msgspec.Struct:
    number, data = event.windows.EventID, event.windows.EventData
    status = (_text(data.get("Status")) or "").lower()
    if event.source == "windows-security" and number in FAILURES:
        failed = number in (4625, 4771) or status not in ("", "0x0")
        return subject.outcome("denied" if failed else "success", status)
    return subject.outcome("unknown", status)


def _address(event: Event) -> str | None:
    data = event.windows.EventData
    for name in ("IpAddress", "SourceIp", "SourceAddress", "ClientAddress"):
        text = _text(data.get(name))
        if text and text not in ("-", "::1", "127.0.0.1"):
            return text.removeprefix("::ffff:")
    return None


FILLS = common_fills(
    observed_at=lambda event: time_ns(event.windows.TimeCreated),
    identity=_who,
    actor=lambda event: subject.actor(_user(event) or event.windows.UserID, name=_user(event), account=event.windows.Computer),
    action=lambda event: subject.action(f"{event.windows.Channel or event.windows.Provider or 'Windows'} {event.windows.EventID}"),
    target=_target,
    outcome=_outcome,
    origin=lambda event: subject.origin(_address(event)),
    derived={"provider_id": lambda event: str(event.windows.RecordID) if event.windows.RecordID is not None else None},
)

PROVIDER = Provider(
    source="windows-other", aliases=("windows", "windows-sysmon", "windows-security", "sysmon", "evtx", "winlogbeat"), recognise=recognise, events=events
)
