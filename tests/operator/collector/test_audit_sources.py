"""Which files a LogSource asks to be followed."""

from __future__ import annotations

from watchkeeper_operator.collector.audit_sources import paths_of
from watchkeeper_operator.shapes import Metadata, Object


def test_a_source_of_files_names_them_and_another_none():
    def of(**spec):
        return paths_of(Object(metadata=Metadata(name="node-1"), spec=spec))

    assert of(type="AuditFile", auditFile={"paths": ["/var/log/kubernetes/audit/*.log"]}) == ("/var/log/kubernetes/audit/*.log",)
    assert of(type="AuditWebhook") == ()
    assert of(type="AuditFile") == ()
