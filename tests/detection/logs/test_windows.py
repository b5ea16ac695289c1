"""Windows events: one shape from several shippers."""

import pytest

from watchkeeper_detection.logs.provider import RecordPlace, RecordRejected
from watchkeeper_detection.logs.windows import PROVIDER

DATA = {
    "UtcTime": "2025-11-25 09:14:03.100",
    "ProcessGuid": "{1B2C3D4E-5F60-6925-0102-000000000700}",
    "ProcessId": "4711",
    "Image": "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\PowerShell.EXE",
    "OriginalFileName": "PowerShell.EXE",
    "CommandLine": "powershell -NoP -Enc SQBFAFgA",
    "User": "CONTOSO\\dana",
    "ParentImage": "C:\\Program Files\\Microsoft Office\\root\\Office16\\WINWORD.EXE",
    "ParentCommandLine": "WINWORD.EXE invoice.docm",
    "ParentProcessGuid": "{1B2C3D4E-5F60-6925-0101-000000000700}",
}
CHANNEL = "Microsoft-Windows-Sysmon/Operational"
EVTX = {
    "Event": {
        "#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
        "System": {
            "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
            "EventID": 1,
            "TimeCreated": {"#attributes": {"SystemTime": "2025-11-25T09:14:03.123456Z"}},
            "EventRecordID": 90210,
            "Channel": CHANNEL,
            "Computer": "ws17.contoso.example",
            "Security": {"#attributes": {"UserID": "S-1-5-18"}},
        },
        "EventData": DATA,
    }
}
WINLOGBEAT = {
    "@timestamp": "2025-11-25T09:14:03.123456Z",
    "event": {"code": "1"},
    "winlog": {
        "event_id": "1",
        "channel": CHANNEL,
        "provider_name": "Microsoft-Windows-Sysmon",
        "computer_name": "ws17.contoso.example",
        "record_id": 90210,
        "user": {"identifier": "S-1-5-18"},
        "event_data": DATA,
    },
}
OLD_WINLOGBEAT = {
    "@timestamp": "2025-11-25T09:14:03.123456Z",
    "event_id": 1,
    "log_name": CHANNEL,
    "source_name": "Microsoft-Windows-Sysmon",
    "computer_name": "ws17.contoso.example",
    "record_number": "90210",
    "event_data": DATA,
}
NXLOG = {
    "@timestamp": "2025-11-25T09:14:03.123456Z",
    "EventID": 1,
    "Channel": CHANNEL,
    "SourceName": "Microsoft-Windows-Sysmon",
    "Hostname": "ws17.contoso.example",
    "RecordNumber": 90210,
    "SourceModuleName": "eventlog",
    **DATA,
}


def one(record):
    (event,) = PROVIDER.events(record, RecordPlace("events.json", 3, 0), None)
    return event


@pytest.mark.parametrize("record", [EVTX, WINLOGBEAT, OLD_WINLOGBEAT, NXLOG], ids=["evtx", "Winlogbeat", "Winlogbeat 6", "NXLog"])
def test_every_shipper_gives_the_same_event(record):
    assert PROVIDER.recognise(record)
    event = one(record)
    windows = event.windows
    assert (event.kind, event.source) == ("windows.event", "windows-sysmon")
    assert (windows.EventID, windows.Channel, windows.Provider, windows.Computer, windows.RecordID) == (
        1,
        CHANNEL,
        "Microsoft-Windows-Sysmon",
        "ws17.contoso.example",
        90210,
    )
    assert {name: windows.EventData[name] for name in DATA} == DATA
    assert event.observed_at == 1764062043_123_456_000
    assert (event.identity.id, event.identity.type) == ("CONTOSO\\dana", "user")


def test_a_process_is_described_in_lower_case():
    process = one(EVTX).windows.process
    assert (process.name, process.parent_name, process.original_name) == ("powershell.exe", "winword.exe", "powershell.exe")
    assert process.command_line == "powershell -nop -enc sqbfafga"
    assert (process.guid, process.parent_guid) == ("1b2c3d4e-5f60-6925-0102-000000000700", "1b2c3d4e-5f60-6925-0101-000000000700")


def test_security_4688_describes_its_process_in_the_same_fields():
    record = {
        "EventID": 4688,
        "Channel": "Security",
        "Hostname": "ws17",
        "NewProcessName": "C:\\Windows\\System32\\cmd.exe",
        "CommandLine": "cmd /c whoami",
        "ParentProcessName": "C:\\Windows\\explorer.exe",
        "SubjectUserName": "dana",
        "SubjectDomainName": "CONTOSO",
    }
    event = one(record)
    assert event.source == "windows-security"
    assert (event.windows.process.name, event.windows.process.command_line, event.windows.process.parent_name) == ("cmd.exe", "cmd /c whoami", "explorer.exe")
    assert event.identity.id == "CONTOSO\\dana"
    assert event.windows.Provider == "Microsoft-Windows-Security-Auditing"


def test_a_number_with_qualifiers_is_a_number():
    system = EVTX["Event"]["System"] | {"EventID": {"#attributes": {"Qualifiers": 16385}, "#text": 24577}, "Channel": "System", "Provider": None}
    event = one({"Event": {"System": system, "EventData": {"Data": {"#text": ""}}}})
    assert (event.windows.EventID, event.source) == (24577, "windows-other")


def test_named_data_elements_and_user_data_are_read():
    rows = [{"#attributes": {"Name": "TargetUserName"}, "#text": "dana"}, {"@Name": "IpAddress", "#text": "198.51.100.23"}]
    event = one({"Event": {"System": EVTX["Event"]["System"], "EventData": {"Data": rows}}})
    assert event.windows.EventData == {"TargetUserName": "dana", "IpAddress": "198.51.100.23"}
    assert event.origin.ip == "198.51.100.23"
    user_data = {"LogFileCleared": {"#attributes": {"xmlns": "x"}, "SubjectUserName": "dana"}}
    assert one({"Event": {"System": EVTX["Event"]["System"], "UserData": user_data}}).windows.EventData == {"SubjectUserName": "dana"}


def test_a_failed_logon_is_denied_and_its_actor_is_who_tried():
    data = {
        "TargetUserName": "dana",
        "TargetDomainName": "CONTOSO",
        "SubjectUserName": "WS17$",
        "SubjectDomainName": "CONTOSO",
        "IpAddress": "::ffff:10.0.0.9",
        "Status": "0xC000006D",
    }
    event = one({"EventID": 4625, "Channel": "Security", "Hostname": "ws17", **data})
    assert (event.identity.id, event.outcome.status, event.origin.ip) == ("CONTOSO\\dana", "denied", "10.0.0.9")


@pytest.mark.parametrize(
    "record",
    [
        {"Event": {"System": {"EventID": "many"}}},
        {"Event": {"System": {}}},
        {"winlog": {"event_id": None}},
        {"EventID": [1], "Channel": "Security"},
        {"Event": {"System": []}},
    ],
)
def test_an_event_without_a_number_is_rejected(record):
    with pytest.raises(RecordRejected):
        one(record)


@pytest.mark.parametrize("record", [{}, {"Event": "x"}, {"Event": {}}, {"event": {"code": 1}}, {"eventName": "GetObject"}, {"winlog": {}}])
def test_other_records_are_not_recognised(record):
    assert not PROVIDER.recognise(record)
