"""Azure Activity Log: diagnostic-settings export, the management SDK's answer and the Log Analytics table → events.

The three name the same facts differently, each in several cases: names are folded (lower case, no underscores) before they
are looked up. Source of the facts: https://learn.microsoft.com/azure/azure-monitor/platform/activity-log-schema and
https://learn.microsoft.com/azure/azure-monitor/reference/tables/azureactivity
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection import subject
from watchkeeper_detection.event import Event
from watchkeeper_detection.fields import fields
from watchkeeper_detection.logs.provider import Provider, common_fills, time_ns
from watchkeeper_detection.record_types import record_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from watchkeeper_detection.logs.provider import Reads, RecordPlace

SOURCE = "azure-activity"
CATEGORIES = frozenset({"administrative", "security", "servicehealth", "alert", "policy", "recommendation", "resourcehealth", "autoscale"})
NAMES = {  # vocabulary's name → folded names, the surest first
    "time": ("time", "eventtimestamp", "timegenerated"),
    "operationName": ("operationnamevalue", "operationname"),
    "operationVersion": ("operationversion",),
    "operationId": ("operationid",),
    "category": ("categoryvalue", "category"),
    "resultType": ("resulttype", "activitystatusvalue", "activitystatus", "status"),
    "resultSignature": ("resultsignature", "activitysubstatusvalue", "activitysubstatus", "substatus"),
    "resultDescription": ("resultdescription", "description"),
    "durationMs": ("durationms",),
    "caller": ("caller",),
    "correlationId": ("correlationid",),
    "eventId": ("eventdataid",),
    "level": ("level",),
    "location": ("location",),
    "tenantId": ("tenantid",),
    "resourceId": ("resourceid",),
    "resourceProvider": ("resourceprovidervalue", "resourceprovidername", "resourceprovider"),
    "properties": ("propertiesd", "properties"),
}
UPN = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"
NAME = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"
OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
CALLER_CLAIMS = (UPN, "upn", NAME, "unique_name", "appid", OBJECT_ID, "oid")
OUTCOMES: dict[str, subject.OutcomeStatus] = {"success": "success", "succeeded": "success", "failure": "failure", "failed": "failure"}
DENIED = ("forbidden", "unauthorized", "authorizationfailed", "linkedauthorizationfailed", "requestdisallowedbypolicy")
NEEDED = frozenset(
    f"azure.{name}"
    for name in (
        *("time", "operationName", "category", "resultType", "resultSignature", "callerIpAddress", "caller"),
        *("correlationId", "eventId", "tenantId", "subscriptionId", "resourceId", "claims", "properties"),
    )
)
DEEPEST = 64  # levels of a request body


def folded(record: dict[str, Any]) -> dict[str, Any]:
    """The record by folded names; of several spellings the first that has a value."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        if value is not None:
            found.setdefault(key.replace("_", "").lower(), value)
    return found


def _plain(value: Any) -> Any:
    """`value` of the SDK's `{value, localizedValue}`."""
    if isinstance(value, dict):
        return folded(value).get("value")
    return value


def _word(value: Any) -> str | None:
    value = _plain(value)
    if isinstance(value, str):
        return value or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return None


def _object(value: Any) -> dict[str, Any] | None:
    """An object, or the one written as JSON text that Log Analytics keeps."""
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def _first(record: dict[str, Any], name: str) -> Any:
    return next((record[key] for key in NAMES[name] if key in record), None)


def _caller_address(record: dict[str, Any]) -> str | None:
    direct = _word(record.get("calleripaddress"))
    return direct or _word(folded(_object(record.get("httprequest")) or {}).get("clientipaddress"))


def _identity(record: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Claims or authorization: at the top, or in `identity` of the export."""
    return _object(record.get(name)) or _object(record.get(f"{name}d")) or _object(folded(_object(record.get("identity")) or {}).get(name))


def _caller(record: dict[str, Any]) -> str | None:
    claims = _identity(record, "claims") or {}
    return _word(record.get("caller")) or next((word for name in CALLER_CLAIMS if (word := _word(claims.get(name)))), None)


def _segment(resource_id: str | None, name: str) -> str | None:
    """The word after `name` in a resource id, in any case."""
    words = (resource_id or "").split("/")
    for number, word in enumerate(words[:-1]):
        if word.lower() == name:
            return words[number + 1] or None
    return None


def _from_id(record: dict[str, Any], names: tuple[str, ...], segment: str) -> str | None:
    given = next((word for name in names if (word := _word(record.get(name)))), None)
    return given or _segment(_word(_first(record, "resourceId")), segment)


def _duration(record: dict[str, Any]) -> int | None:
    word = _word(record.get("durationms"))
    return int(word) if word and word.isdecimal() and len(word) < 19 else None


def lower_keys(value: Any, depth: int = 0) -> Any:
    """The same JSON with every key in lower case; None below `DEEPEST` levels."""
    if depth > DEEPEST:
        return None
    if isinstance(value, dict):
        return {key.lower(): lower_keys(below, depth + 1) for key, below in value.items()}
    if isinstance(value, list):
        return [lower_keys(below, depth + 1) for below in value]
    return value


def _request_body(record: dict[str, Any]) -> Any:
    return lower_keys(_object(folded(_object(_first(record, "properties")) or {}).get("requestbody")))


SPECIAL: dict[str, Callable[[dict[str, Any]], Any]] = {
    "durationMs": _duration,
    "caller": _caller,
    "callerIpAddress": _caller_address,
    "subscriptionId": lambda record: _from_id(record, ("subscriptionid",), "subscriptions"),
    "resourceGroup": lambda record: _from_id(record, ("resourcegroup", "resourcegroupname"), "resourcegroups"),
    "authorization": lambda record: _identity(record, "authorization"),
    "claims": lambda record: _identity(record, "claims"),
    "properties": lambda record: _object(_first(record, "properties")),
    "requestBody": _request_body,
}


@cache
def _type(paths: frozenset[str] | None) -> type[msgspec.Struct]:
    return record_type("azure", paths)


def activity_of(record: dict[str, Any], reads: Reads) -> msgspec.Struct:
    struct = _type(None if reads is None else reads.get("azure", frozenset()) | NEEDED)
    names = folded(record)
    return struct(**{name: SPECIAL[name](names) if name in SPECIAL else _word(_first(names, name)) for name in struct.__struct_fields__})


def recognise(record: dict[str, Any]) -> bool:
    """An operation of one of the activity log's categories. Resource logs (AKS audit among them), sign-ins and directory audits have others."""
    names = folded(record)
    if _word(_first(names, "operationName")) is None:
        return False
    category = _word(_first(names, "category"))
    if category is not None:
        return category.lower() in CATEGORIES
    return "calleripaddress" in names and "/subscriptions/" in (_word(_first(names, "resourceId")) or "").lower()


def events(record: dict[str, Any], place: RecordPlace, reads: Reads) -> Iterable[Event]:
    event = Event("azure.activity", SOURCE, place.stream, place.number, place.offset, FILLS)
    event.__dict__["azure"] = activity_of(record, reads)
    return (event,)


def _who(event: Event) -> msgspec.Struct:
    caller = event.azure.caller
    if caller is None:
        return subject.identity(None)
    claims = event.azure.claims or {}
    is_user = "@" in caller and claims.get("idtyp") != "app"
    return subject.identity(caller, "user" if is_user else "service")


def _outcome(event: Event) -> msgspec.Struct:
    result, signature = event.azure.resultType, event.azure.resultSignature
    status = OUTCOMES.get((result or "").lower(), "unknown")
    if status == "failure" and _was_denied(event):
        status = "denied"
    return subject.outcome(status, signature or result)


def _was_denied(event: Event) -> bool:
    properties = folded(event.azure.properties or {})
    texts = (event.azure.resultSignature, properties.get("statuscode"), properties.get("statusmessage"))
    said = " ".join(text.lower() for text in texts if isinstance(text, str))
    return any(word in said for word in DENIED) or "403" in said


def resource_type(resource_id: str | None) -> str | None:
    """`Microsoft.Compute/virtualMachines` of a resource id; sub-types joined by `/`."""
    words = (resource_id or "").strip("/").split("/")
    starts = [number for number, word in enumerate(words) if word.lower() == "providers"]
    if not starts or len(words) < starts[-1] + 3:
        return None
    return "/".join((words[starts[-1] + 1], *words[starts[-1] + 2 :: 2]))


def _target(event: Event) -> msgspec.Struct:
    resource_id = event.azure.resourceId
    return subject.target(type=resource_type(resource_id), name=(resource_id or "").rstrip("/").rpartition("/")[2], id=resource_id)


FILLS = common_fills(
    observed_at=lambda event: time_ns(event.azure.time),
    identity=_who,
    actor=lambda event: subject.actor(event.azure.caller, name=event.azure.caller, account=event.azure.tenantId or event.azure.subscriptionId),
    action=lambda event: subject.action(event.azure.operationName),
    target=_target,
    outcome=_outcome,
    origin=lambda event: subject.origin(_without_port(event.azure.callerIpAddress)),
    derived={"provider_id": lambda event: event.azure.eventId or event.azure.correlationId},
)


def _without_port(address: str | None) -> str | None:
    """Storage and some services write `1.2.3.4:5678`."""
    if address and address.count(":") == 1:
        return address.partition(":")[0]
    return address


PROVIDER = Provider(source=SOURCE, aliases=("azure", "azureactivity", "azure-activity-log"), recognise=recognise, events=events)

_UNREAD = {field.key for field in fields().values() if field.root == "azure"} - NAMES.keys() - SPECIAL.keys()
if _UNREAD:  # a row of the vocabulary that this module does not know where to take from
    raise LookupError(f"no shape gives {sorted(_UNREAD)}")
