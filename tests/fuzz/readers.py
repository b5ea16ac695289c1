"""Any bytes as a log, in any chunks: events, never an exception, a hang or a lost line without a word.

The first byte chooses the source that the user named and the size of the chunks.
"""

from __future__ import annotations

import gzip
import json

from tests.support.raw_records import a_cloudtrail_event, an_audit_event
from tests.support.shapes import aks_diagnostics, eks_export, eks_subscription, event_list, gke_entry, v1beta1

from watchkeeper_detection.fields import fields
from watchkeeper_detection.logs.stream import StreamReader

SOURCES = (None, None, None, "k8s-audit", "cloudtrail", "vpcflow", "azure-activity", "gcp-audit", "windows-sysmon", "kernel")
CHUNKS = (1 << 20, 4096, 700, 61, 7)
COMMON = ("id", "observed_at", "event", "identity", "actor", "action", "target", "outcome", "origin")
DERIVED = ("pod_spec", "images", "rules", "subjects", "command", "pod_name", "decision")

POD = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {
        "hostPID": True,
        "containers": [{"name": "web", "image": "nginx:1.29", "securityContext": {"privileged": True}}],
        "volumes": [{"hostPath": {"path": "/"}}],
    },
}
CREATED = an_audit_event(2, verb="create", resource="pods", code=201, requestObject=POD, responseObject=POD)
WATCH = an_audit_event(3, verb="watch", stage="ResponseStarted")
ROLE = a_cloudtrail_event(
    4,
    name="AssumeRole",
    source="sts.amazonaws.com",
    userIdentity={
        "type": "AssumedRole",
        "arn": "arn:aws:sts::492817365042:assumed-role/deploy/ci",
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::492817365042:role/deploy"}},
    },
    resources=[{"ARN": "arn:aws:iam::492817365042:role/deploy", "type": "AWS::IAM::Role"}],
)
PROCESS = {
    "id": "a:2:3",
    "process_id": 2,
    "exe": "/tmp/x\\xff",
    "args": ["x", "-c"],
    "uid": 0,
    "parent": {"exe": "/bin/sh"},
    "ancestors": {"exes": ["/bin/sh"]},
}
KERNEL = (
    {"kind": "process.exec", "observed_at": "2026-03-01T10:00:00.123Z", "process": PROCESS, "container": {"id": "c"}, "exec": {"path": "/tmp/x"}},
    {"kind": "file.open", "observed_at": "2026-03-01T10:00:00.2Z", "id": "1", "process": PROCESS, "file": {"path": "/etc/shadow", "flags": ["O_RDONLY"]}},
    {
        "kind": "network.connect",
        "process": PROCESS,
        "connection": {"remote_ip": "203.0.113.9", "remote_port": 443},
        "syscall": {"name": "connect", "error": None},
    },
)
FLOW = b"2 492817365042 eni-0a1b2c3d4e5f60718 10.20.1.9 203.0.113.9 49152 443 6 10 840 1773282600 1773282660 ACCEPT OK\n"


def _lines(*records: object) -> bytes:
    return b"".join((record if isinstance(record, str) else json.dumps(record)).encode() + b"\n" for record in records)


def _document(*records: object, indent: int | None = None) -> bytes:
    return json.dumps({"Records": list(records)}, indent=indent).encode()


def _seeds() -> tuple[bytes, ...]:
    audit, trail = an_audit_event(), a_cloudtrail_event()
    bodies = (
        _lines(audit, CREATED, WATCH, {**WATCH, "stage": "ResponseComplete"}),
        _lines(v1beta1(audit), event_list(audit, CREATED), eks_subscription(audit), eks_export(audit), aks_diagnostics(CREATED), gke_entry(CREATED)),
        _lines(trail, ROLE, {"detail-type": "AWS API Call via CloudTrail", "source": "aws.iam", "detail": trail}, {"Records": [trail]}),
        _document(trail, ROLE, trail, ROLE),
        _document(trail, ROLE, indent=2),
        _document(trail) + b"\n" + _document(ROLE) + b"\n" + _lines(trail),
        json.dumps(event_list(audit, CREATED, audit), indent=1).encode(),
        json.dumps([trail, ROLE, audit]).encode(),
        json.dumps({"messageType": "CONTROL_MESSAGE", "logEvents": []}).encode(),
        json.dumps({"awsAccountId": "492817365042", "digestStartTime": "2026-03-12T02:46:00Z", "logFiles": [{"s3Bucket": "b"}]}).encode(),
        json.dumps(audit).encode() + json.dumps(trail).encode(),
        FLOW + FLOW,
        b"version account-id srcaddr dstaddr action\n5 492817365042 10.0.0.1 10.0.0.2 REJECT\n",
        _lines(
            {
                "operationName": "MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE",
                "category": "Administrative",
                "time": "2026-03-12T02:46:00Z",
                "resourceId": "/SUBSCRIPTIONS/X",
            }
        ),
        _lines({"Event": {"System": {"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational"}, "EventData": {"Image": "C:\\\\a.exe"}}}),
        _lines(*KERNEL),
        "\ufeff".encode("utf-16-le") + json.dumps(audit).encode("utf-16-le"),
        gzip.compress(_lines(audit), mtime=0),
        b"PAR1" + bytes(40) + b"PAR1",
    )
    return tuple(bytes([number % 255]) + body for number, body in enumerate(bodies * 2))


SEEDS = _seeds()


def one_input(data: bytes) -> None:
    """One input of a fuzzer; raises AssertionError when what comes out is not as promised."""
    choice = data[0] if data else 0
    reader = StreamReader("fuzzed", source=SOURCES[choice % len(SOURCES)], reads=None)
    size = CHUNKS[choice % len(CHUNKS)]
    body = data[1:]
    last = 0
    events = [event for start in range(0, len(body), size) for event in reader.feed(body[start : start + size])] + list(reader.close())
    for event in events:
        assert event.number >= last, "numbers go up"
        last = event.number
        assert -1 <= event.offset <= 3 * len(body), "an offset stands in the stream"
        for name in COMMON:
            getattr(event, name)
        if event.kind == "audit.request":
            for name in DERIVED:
                getattr(event.kubernetes, name)
        if event.kind == "log.rejected":
            assert event.log.reason
    if body.strip(b" \t\r\n\x0b\x0c\x00,[]{}") and not events:
        assert is_silent(body), "a line was lost without a word"


SILENT_WORDS = (
    *(b"digeststarttime", b"control_message", b"requestreceived", b"responsecomplete", b'"kube', b'"guard', b"cluster-autoscaler", b"cloud-controller"),
    *(b"timestamp", b"message"),  # the header of an export
    *(name.partition(".")[2].encode() for name in fields() if name.startswith("vpcflow.")),  # a header of flow logs
)


def is_silent(body: bytes) -> bool:
    """Whether the input holds what is no event and no reject: a digest, a probe, a header, stages of a request that is judged elsewhere, an empty list."""
    words = body.lower().replace(b"-", b"_")
    return any(word.replace(b"-", b"_") in words for word in SILENT_WORDS) or b"[]" in body or body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"))
