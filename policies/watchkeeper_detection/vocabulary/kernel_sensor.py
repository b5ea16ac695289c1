"""What happened to the sensor itself: what it lost, who tampered with it, what it enforced."""

from watchkeeper_detection.fields import Field, Kind

KINDS = (
    Kind("sensor.lost", "Events of a kind were lost; for the stated time the sensor was blind to them.", ("sensor", "node", "container", "pod")),
    Kind(
        "sensor.tampered",
        "Someone acted against the sensor: signal, detached program, changed map, frozen cgroup.",
        ("sensor", "node", "process", "container", "pod", "syscall"),
    ),
    Kind("sensor.started", "The sensor started, or started again; says since when nobody watched.", ("sensor", "node")),
    Kind("sensor.stopped", "The sensor stopped, or was found to have stopped.", ("sensor", "node")),
    Kind("sensor.enforced", "The sensor killed a process as a policy told it to.", ("sensor", "node", "process", "container", "pod", "syscall")),
    Kind(
        "sensor.not_enforced",
        "A policy would have killed, and the sensor could not be sure: unknown cgroup, path of the caller's memory.",
        ("sensor", "node", "process", "container", "pod"),
    ),
)

FIELDS = (
    Field("sensor.event_kind", "string", "Kind of the events that were lost or no longer seen."),
    Field(
        "sensor.cause",
        "string",
        "Why: `ring_full`, `rate_limit`, `preempted` (`hook` was not run, as it was running for another task), `queue_full`, `spool_full`, `disk`, `too_long`, `damaged`, `decode`, `detached`, `killed`, `stopped`, `frozen`, `upgrade`.",
    ),
    Field("sensor.count", "int", "How many events were lost."),
    Field("sensor.since", "timestamp", "Begin of the time that the sensor was blind."),
    Field("sensor.until", "timestamp", "End of the time that the sensor was blind."),
    Field("sensor.cgroup_id", "int", "Cgroup whose events were lost, where it was one alone; one that floods its own limit can be meant to."),
    Field(
        "sensor.act",
        "string",
        "What was done to the sensor: `end` (it was asked to, in order), `signal` (it was killed or stopped), `detach`, `map_update`, `ptrace`, `freeze`, `unmount`, `clock_step`, `file_change`.",
    ),
    Field("sensor.hook", "string", "Program of the sensor that was affected."),
    Field("sensor.policy", "string", "Policy that enforcement acted for, `NAMESPACE/NAME`."),
    Field("sensor.rule", "string", "Rule that enforcement acted for."),
    Field("sensor.version", "string", "Version of the sensor."),
)
