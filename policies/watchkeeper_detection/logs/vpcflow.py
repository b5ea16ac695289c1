"""VPC flow logs: lines of text by their header, JSON objects, Parquet → events.

Text names its columns in a header line (any order, any version); a stream without one is read as the default format of
version 2, whose lines are known by their look. `-` is an absent value. CloudWatch puts a time before each line of an export.
Source of the facts: https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
"""

from __future__ import annotations

import re
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from watchkeeper_detection import subject
from watchkeeper_detection.event import Event
from watchkeeper_detection.fields import attribute_name, fields
from watchkeeper_detection.logs.provider import Provider, RecordPlace, RecordRejected, TextFormat, common_fills
from watchkeeper_detection.record_types import record_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import msgspec

    from watchkeeper_detection.logs.provider import Reads

SOURCE = "vpcflow"
DEFAULT_COLUMNS = (
    *("version", "account_id", "interface_id", "srcaddr", "dstaddr", "srcport", "dstport"),
    *("protocol", "packets", "bytes", "start", "end", "action", "log_status"),
)
TYPES = {field.key: field.type for field in fields().values() if field.root == "vpcflow"}
COLUMN_WORDS = frozenset(TYPES) | {name.replace("_", "-") for name in TYPES}
EXPORT_HEADERS = ("timestamp,message", "@timestamp,@message")
NEEDED = frozenset(f"vpcflow.{name}" for name in ("account_id", "srcaddr", "dstaddr", "dstport", "protocol", "start", "action"))
LONGEST_NUMBER = 18  # digits; more would not fit CEL's int
LIMIT = 10**LONGEST_NUMBER
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}
STATUS: dict[str | None, subject.OutcomeStatus] = {"ACCEPT": "success", "REJECT": "denied"}
PARQUET_ROWS = 4096  # rows decoded at once
PARQUET_BYTES = 1 << 30  # decoded size of the columns of one file that we accept
EXPORT_TIME = re.compile(r'"?(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?|\d{13})"?[ ,\t]"?')
DEFAULT_LINE = re.compile(r"2 \S+ \S+ \S+ \S+ \S+ \S+ \S+ \S+ \S+ \S+ \S+ (?:ACCEPT|REJECT|-) (?:OK|NODATA|SKIPDATA|-)")


def flow_event(flow: msgspec.Struct, place: RecordPlace) -> Event:
    event = Event("vpcflow.flow", SOURCE, place.stream, place.number, place.offset, FILLS)
    event.__dict__["vpcflow"] = flow
    return event


def _observed_at(event: Event) -> int:
    return (event.vpcflow.start or 0) * 10**9


def _action_name(flow: Any) -> str:
    """`tcp/443`; `protocol 47` for what has no ports."""
    name = PROTOCOLS.get(flow.protocol)
    if name is None:
        return "flow" if flow.protocol is None else f"protocol {flow.protocol}"
    return name if flow.dstport is None or flow.protocol in (1, 58) else f"{name}/{flow.dstport}"


def endpoint(address: str | None, port: int | None) -> str | None:
    """`10.0.0.1:443`, `[2001:db8::1]:443`; the address alone where there is no port."""
    if address is None or port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _address(text: str | None) -> str | None:
    """`text`, unless it can be no address: some exports write `null`."""
    return text if text and text[:1] in "0123456789abcdefABCDEF:" else None


FILLS = common_fills(
    observed_at=_observed_at,
    identity=lambda _event: subject.identity(None),
    actor=lambda event: subject.actor(event.vpcflow.srcaddr, name=event.vpcflow.srcaddr, account=event.vpcflow.account_id),
    action=lambda event: subject.action(_action_name(event.vpcflow)),
    target=lambda event: subject.target(type="address", name=event.vpcflow.dstaddr, id=endpoint(event.vpcflow.dstaddr, event.vpcflow.dstport)),
    outcome=lambda event: subject.outcome(STATUS.get(event.vpcflow.action, "unknown"), event.vpcflow.action),
    origin=lambda event: subject.origin(_address(event.vpcflow.srcaddr)),
)


def _text(word: str) -> str | None:
    return None if word == "-" or not word else word


def _number(word: str) -> int | None:
    if word.isdecimal() and len(word) <= LONGEST_NUMBER:
        return int(word)
    if word in ("-", ""):
        return None
    if word[:1] == "-" and word[1:].isdecimal() and len(word) <= LONGEST_NUMBER:
        return int(word)
    raise RecordRejected(f"{word[:40]!r} is no number")


def _picker(places: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Function of a row that gives the values at these places."""
    if len(places) == 1:
        (only,) = places
        return lambda row: (row[only],)
    return itemgetter(*places) if places else lambda _row: ()


@cache
def _type(paths: frozenset[str] | None) -> type[msgspec.Struct]:
    return record_type("vpcflow", paths)


def _paths(reads: Reads) -> frozenset[str] | None:
    return None if reads is None else reads.get("vpcflow", frozenset()) | NEEDED


class FlowText:
    """Reader of one stream of text lines; keeps the header that it met last."""

    def __init__(self, reads: Reads) -> None:
        self._struct = _type(_paths(reads))
        self._export_times = False
        self._use(DEFAULT_COLUMNS)

    def _use(self, columns: Sequence[str]) -> None:
        """Read lines of these columns; names that we don't know are of a later version and are passed over."""
        self._width = len(columns)
        places = {attribute_name(name): place for place, name in enumerate(columns) if name in TYPES}
        members = [(name, TYPES[key] == "int") for name, key in _keys(self._struct)]
        self._columns = tuple((places.get(name), _number if is_number else _text) for name, is_number in members)
        texts = [name for name, is_number in members if not is_number and name in places]
        numbers = [name for name, is_number in members if is_number and name in places]
        order = {name: number for number, name in enumerate((*texts, *numbers))}
        self._texts = _picker([places[name] for name in texts])
        self._numbers = _picker([places[name] for name in numbers])
        self._fields = _picker([order.get(name, len(order)) for name, _ in members])

    def __call__(self, text: str, place: RecordPlace) -> Event | None:
        """The line's event; None for a header. Raises RecordRejected."""
        words = text.split()
        if len(words) != self._width or words[0] in COLUMN_WORDS or words[-1] in COLUMN_WORDS or "," in words[0] or self._export_times:
            words, header = self._look_closer(text)
            if header:
                return None
        if " - " not in text:  # every number is there: the columns are read by C functions alone, at twice the rate
            try:
                numbers = tuple(map(int, self._numbers(words)))
            except ValueError:
                numbers = (LIMIT,)
            if max(numbers, default=0) < LIMIT:
                return flow_event(self._struct(*self._fields((*self._texts(words), *numbers, None))), place)
        return flow_event(self._struct(*[None if column is None else read(words[column]) for column, read in self._columns]), place)

    def _look_closer(self, text: str) -> tuple[list[str], bool]:
        """Words of a line that is not as its predecessors; whether it is a header."""
        stamp = EXPORT_TIME.match(text)
        self._export_times = stamp is not None
        if stamp:
            text = text[stamp.end() :].rstrip().rstrip('"')
        words = text.split()
        if header := header_columns(text):
            self._use(header)
        if header or is_export_header(text):
            return words, True
        if len(words) != self._width:
            raise RecordRejected(f"{len(words)} columns where the format has {self._width}")
        return words, False


def header_columns(line: str) -> tuple[str, ...]:
    """Column names of a header line, in our spelling; empty when the line is none."""
    words = tuple(word.strip('"').replace("-", "_").lower() for word in line.strip().split())
    known = sum(word in TYPES for word in words)
    return words if known >= 2 and known * 2 > len(words) else ()


def is_export_header(line: str) -> bool:
    """Whether this is the first line of CloudWatch's export as CSV."""
    return line.strip().replace('"', "").lower() in EXPORT_HEADERS


def is_flow_text(line: str) -> bool:
    """Whether a stream's first line is a header of flow logs, or a line of the default format."""
    stamp = EXPORT_TIME.match(line)
    text = line[stamp.end() :].strip().rstrip('"') if stamp else line.strip()
    return bool(DEFAULT_LINE.fullmatch(text) or header_columns(text) or is_export_header(line))


def _spelled(record: dict[str, Any]) -> dict[str, Any]:
    return {key.replace("-", "_"): value for key, value in record.items()}


def recognise(record: dict[str, Any]) -> bool:
    """A record with AWS's column names, with dashes or underscores, or one with a line of the default format as `message`."""
    if ("srcaddr" in record and "dstaddr" in record) or "log_status" in record or "log-status" in record:
        return True
    return _line_of(record) is not None


def _line_of(record: dict[str, Any]) -> str | None:
    message = record.get("message")
    return message if len(record) <= 4 and isinstance(message, str) and DEFAULT_LINE.fullmatch(message.strip()) else None


def _value(name: str, value: Any) -> Any:
    """A JSON value as its column has it: numbers may be text."""
    if value is None:
        return None
    if TYPES[name] == "int":
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise RecordRejected(f"{name} is no number")
        return _number(str(value))
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise RecordRejected(f"{name} is no text")


def flow_of(record: dict[str, Any], reads: Reads) -> msgspec.Struct:
    """Flow of a JSON object or a Parquet row."""
    struct = _type(_paths(reads))
    spelled = _spelled(record)
    return struct(**{name: _value(key, spelled[key]) for name, key in _keys(struct) if key in spelled})


@cache
def _keys(struct: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    return tuple((name, key) for name, key in zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True))


def events(record: dict[str, Any], place: RecordPlace, reads: Reads) -> Iterable[Event]:
    line = _line_of(record)
    if line is not None:
        event = FlowText(reads)(line.strip(), place)
        return () if event is None else (event,)
    return (flow_event(flow_of(record, reads), place),)


def flows_from_parquet(content: bytes, stream: str, reads: Reads) -> Iterator[Event]:
    """Events of one Parquet file; `number` is the row's, from 1. Raises RecordRejected for what is no flow log in Parquet."""
    try:
        import pyarrow as pa  # noqa: PLC0415 (45 MB; only who reads Parquet pays)
        from pyarrow import parquet  # noqa: PLC0415
    except ModuleNotFoundError:
        raise RecordRejected("Parquet is read by pyarrow, which is not installed: pip install 'watchkeeper[parquet]'") from None

    try:
        file = parquet.ParquetFile(pa.BufferReader(content))
        wanted = _parquet_columns(file, reads)
        number = 0
        for batch in file.iter_batches(batch_size=PARQUET_ROWS, columns=wanted):
            for row in batch.to_pylist():
                number += 1
                yield flow_event(flow_of(row, reads), RecordPlace(stream, number, -1))
    except (pa.ArrowException, OSError) as damage:
        raise RecordRejected(f"not a Parquet file that can be read: {str(damage)[:200]}") from damage


def _parquet_columns(file: Any, reads: Reads) -> list[str]:
    """Columns of the file that are read; refuses a file that is no flow log or would decode to more than we hold."""
    keys = {key for _, key in _keys(_type(_paths(reads)))}
    names = [name for name in file.schema_arrow.names if name.replace("-", "_") in TYPES]
    if len(names) < 2:
        raise RecordRejected("a Parquet file without the columns of a flow log")
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    size = max((sum(group.column(number).total_uncompressed_size for number in range(group.num_columns)) for group in groups), default=0)
    if size > PARQUET_BYTES:
        raise RecordRejected(f"a row group of {size} bytes, more than {PARQUET_BYTES}")
    return [name for name in names if name.replace("-", "_") in keys]


PROVIDER = Provider(
    source=SOURCE,
    aliases=("vpc-flow", "vpcflowlogs", "vpc-flow-logs"),
    recognise=recognise,
    events=events,
    text=TextFormat(recognise=is_flow_text, reader=FlowText),
    parquet=flows_from_parquet,
)
