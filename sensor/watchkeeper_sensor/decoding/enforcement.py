"""What the kernel enforced, or would have but for a gap."""

from __future__ import annotations

from typing import Any

from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.decoding.kernel_event import kind
from watchkeeper_sensor.kernel.enforcement import GAPS
from watchkeeper_sensor.kernel.programs import BpfProgram
from watchkeeper_sensor.kernel.records import RECORD, Layout

_Sensor: Any = record_type("sensor")

ENFORCED = Layout("enforced_record", ("record", RECORD), "rule I, killed I, gap I, exe_path text")
KILL_TEST = Layout("kill_test", "rule I, id I, field H, op B, denied B, last B, padding 3s")

LAYOUTS = (ENFORCED, KILL_TEST)

PROGRAMS = (BpfProgram("exec_enforce", "tracepoint", ("sensor.enforced", "sensor.not_enforced")),)


def _sensor(event: Any) -> Any:
    made = ENFORCED.read(event.record)
    rules = event.around.enforced_rules
    rule = rules[made.rule] if made.rule < len(rules) else None
    return _Sensor(
        act="kill",
        hook="sched_process_exec",
        policy=rule.policy if rule else None,
        rule=rule.rule if rule else None,
        cause=GAPS.get(made.gap),
        cgroup_id=event.header[5] or None,
    )


EnforcedEvent = kind("sensor.enforced", {"sensor": _sensor})
NotEnforcedEvent = kind("sensor.not_enforced", {"sensor": _sensor})

EVENTS = (EnforcedEvent, NotEnforcedEvent)
