"""VPC flow logs: text with and without header, JSON, Parquet."""

import io
import json

import pytest

from watchkeeper_detection.logs.provider import RecordPlace, RecordRejected
from watchkeeper_detection.logs.vpcflow import DEFAULT_COLUMNS, PROVIDER, FlowText, flows_from_parquet, is_flow_text

LINE = "2 284610937715 eni-0b3c7a91d2e4f5061 10.20.4.17 52.94.33.9 49812 443 6 24 4180 1764061200 1764061258 ACCEPT OK"
V5_HEADER = "version vpc-id subnet-id instance-id interface-id account-id type srcaddr dstaddr srcport dstport pkt-srcaddr pkt-dstaddr protocol bytes packets start end action tcp-flags log-status flow-direction"
V5_LINE = "5 vpc-0a1 subnet-0b2 i-0c3 eni-0d4 284610937715 IPv6 2600:1f14::17 2a01:4f8::2 49812 3333 2600:1f14::17 2a01:4f8::2 6 4180 24 1764061200 1764061258 ACCEPT 3 OK egress"


def place(number=1):
    return RecordPlace("flows.log", number, 0)


def one(record, reads=None):
    (event,) = PROVIDER.events(record, place(), reads)
    return event


def test_a_default_line_needs_no_header():
    event = FlowText(None)(LINE, place(7))
    flow = event.vpcflow
    assert (event.kind, event.source, event.number, event.id) == ("vpcflow.flow", "vpcflow", 7, "vpcflow:flows.log:7")
    assert (flow.version, flow.account_id, flow.interface_id) == (2, "284610937715", "eni-0b3c7a91d2e4f5061")
    assert (flow.srcaddr, flow.dstaddr, flow.srcport, flow.dstport) == ("10.20.4.17", "52.94.33.9", 49812, 443)
    assert (flow.protocol, flow.packets, flow.bytes, flow.start, flow.end) == (6, 24, 4180, 1764061200, 1764061258)
    assert (flow.action, flow.log_status, flow.vpc_id, flow.tcp_flags) == ("ACCEPT", "OK", None, None)
    assert event.observed_at == 1764061200_000_000_000
    assert (event.origin.ip, event.target.id, event.outcome.status, event.action.name) == ("10.20.4.17", "52.94.33.9:443", "success", "tcp/443")


def test_a_header_names_the_columns_in_any_order_and_version():
    read = FlowText(None)
    assert read(V5_HEADER, place(1)) is None
    event = read(V5_LINE, place(2))
    flow = event.vpcflow
    assert (flow.version, flow.srcaddr, flow.dstport, flow.tcp_flags, flow.flow_direction, flow.bytes) == (5, "2600:1f14::17", 3333, 3, "egress", 4180)
    assert event.target.id == "[2a01:4f8::2]:3333"


def test_a_second_header_in_a_joined_file_changes_the_columns():
    read = FlowText(None)
    assert read(V5_HEADER, place(1)) is None
    assert read("srcaddr dstaddr action", place(2)) is None
    assert read("10.0.0.1 10.0.0.2 REJECT", place(3)).vpcflow.action == "REJECT"


def test_columns_of_a_later_version_are_passed_over():
    read = FlowText(None)
    assert read("srcaddr colour dstaddr dstport", place(1)) is None
    flow = read("10.0.0.1 blue 10.0.0.2 22", place(2)).vpcflow
    assert (flow.srcaddr, flow.dstaddr, flow.dstport) == ("10.0.0.1", "10.0.0.2", 22)


@pytest.mark.parametrize("status", ["NODATA", "SKIPDATA"])
def test_dashes_are_absent_values(status):
    event = FlowText(None)(f"2 284610937715 eni-0b3c - - - - - - - 1764061200 1764061258 - {status}", place())
    assert (event.vpcflow.srcaddr, event.vpcflow.packets, event.vpcflow.action, event.vpcflow.log_status) == (None, None, None, status)
    assert (event.origin.ip, event.target.id, event.outcome.status) == (None, None, "unknown")


@pytest.mark.parametrize(
    "prefix", ["2025-11-25T09:00:00.000Z ", "2025-11-25 09:00:00.000,", "1764061200000,"], ids=["export to S3", "Insights as CSV", "console as CSV"]
)
def test_the_time_that_cloudwatch_puts_first_is_passed_over(prefix):
    read = FlowText(None)
    for number in (1, 2):
        assert read(prefix + LINE, place(number)).vpcflow.dstport == 443
    assert read(f'{prefix}"{LINE}"', place(3)).vpcflow.log_status == "OK"


def test_the_header_of_a_csv_export_is_no_event():
    read = FlowText(None)
    assert read('"@timestamp","@message"', place(1)) is None
    assert read(f"1764061200000,{LINE}", place(2)).vpcflow.srcaddr == "10.20.4.17"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (LINE + " more", "15 columns where the format has 14"),
        (LINE.replace(" 443 ", " https "), "'https' is no number"),
        (LINE.replace(" 4180 ", f" {'9' * 25} "), f"'{'9' * 25}' is no number"),
        ("", "0 columns where the format has 14"),
    ],
)
def test_a_line_that_does_not_fit_is_rejected_with_the_reason(line, reason):
    with pytest.raises(RecordRejected) as wrong:
        FlowText(None)(line, place())
    assert wrong.value.reason == reason


@pytest.mark.parametrize(
    ("line", "is_flow"),
    [
        (LINE, True),
        (V5_HEADER, True),
        ("2025-11-25T09:00:00.000Z " + LINE, True),
        ("srcaddr dstaddr", True),
        ("two words", False),
        ("GET /version start end", False),
        ("", False),
    ],
)
def test_flow_text_is_known_by_its_first_line(line, is_flow):
    assert is_flow_text(line) is is_flow


def test_json_flows_have_numbers_or_text_and_either_spelling():
    fromtext = one({"version": "2", "srcaddr": "10.0.0.1", "dstaddr": "10.0.0.2", "dstport": "22", "bytes": "4180", "log-status": "OK", "action": "-"})
    fromnumbers = one({"version": 2, "srcaddr": "10.0.0.1", "dstaddr": "10.0.0.2", "dstport": 22.0, "bytes": 4180, "log_status": "OK", "action": None})
    for event in (fromtext, fromnumbers):
        assert (event.vpcflow.version, event.vpcflow.dstport, event.vpcflow.bytes, event.vpcflow.log_status, event.vpcflow.action) == (2, 22, 4180, "OK", None)


def test_a_line_wrapped_as_message_is_read():
    record = {"message": LINE}
    assert PROVIDER.recognise(record)
    assert one(record).vpcflow.dstaddr == "52.94.33.9"


@pytest.mark.parametrize("value", [True, 1.5, [22], {"a": 1}, "ssh"])
def test_a_json_value_that_is_no_number_is_rejected(value):
    with pytest.raises(RecordRejected):
        one({"srcaddr": "10.0.0.1", "dstaddr": "10.0.0.2", "dstport": value})


def test_other_records_are_not_recognised():
    for record in ({}, {"message": "2 hello"}, {"eventSource": "ec2.amazonaws.com"}, {"srcaddr": "10.0.0.1"}):
        assert not PROVIDER.recognise(record)


def test_an_address_that_is_none_is_no_origin():
    assert one({"srcaddr": "null", "dstaddr": "10.0.0.2"}).origin.ip is None


def test_only_what_is_read_is_decoded_and_text_and_json_agree():
    reads = {"vpcflow": frozenset({"vpcflow.packets", "vpcflow.flow_direction"})}
    event = FlowText(reads)(LINE, place())
    fields = event.vpcflow.__struct_fields__
    assert "packets" in fields
    assert "bytes" not in fields
    names = DEFAULT_COLUMNS
    assert one(dict(zip(names, LINE.split(), strict=True)), reads).vpcflow == event.vpcflow


def test_parquet_gives_the_same_events_as_text():
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    names = DEFAULT_COLUMNS
    numbers = {"version", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end"}
    rows = [{name: (int(word) if name in numbers else word) for name, word in zip(names, LINE.split(), strict=True)} for _ in range(3)]
    rows.append(dict.fromkeys(names) | {"log_status": "NODATA", "start": 1764061200})
    file = io.BytesIO()
    parquet.write_table(
        pa.Table.from_pylist(rows, schema=pa.schema([(n, pa.int64() if n in numbers else pa.string()) for n in names] + [("year", pa.string())])), file
    )
    events = list(flows_from_parquet(file.getvalue(), "flows.parquet", None))
    assert [event.number for event in events] == [1, 2, 3, 4]
    assert events[0].vpcflow == FlowText(None)(LINE, place()).vpcflow
    assert (events[3].vpcflow.log_status, events[3].vpcflow.srcaddr) == ("NODATA", None)


@pytest.mark.parametrize("content", [b"PAR1 not really PAR1", b""])
def test_a_damaged_parquet_file_is_rejected(content):
    with pytest.raises(RecordRejected):
        list(flows_from_parquet(content, "flows.parquet", None))


def test_a_parquet_file_of_something_else_is_rejected():
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(pa.table({"colour": ["blue"]}), file)
    with pytest.raises(RecordRejected, match="without the columns of a flow log"):
        list(flows_from_parquet(file.getvalue(), "colours.parquet", None))


def test_the_record_is_left_as_it_was():
    record = {"srcaddr": "10.0.0.1", "dstaddr": "10.0.0.2", "dstport": "22"}
    before = json.dumps(record)
    one(record)
    assert json.dumps(record) == before
