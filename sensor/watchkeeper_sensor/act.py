"""Who acted, as detections tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_detection.detection import Act

if TYPE_CHECKING:
    from watchkeeper_detection.event import Event


def act_of(event: Event) -> Act:
    """What a detection keeps of its event's process and container."""
    process, container, pod = event.process, event.container, event.pod
    return Act(
        process=process.exe or process.name,
        process_id=process.process_id,
        command_line=process.command_line,
        user=process.user or (None if process.uid is None else str(process.uid)),
        ancestors=tuple(process.ancestors.exes or ()),
        ancestor_process_ids=tuple(int(one.split(":")[1]) for one in process.ancestors.ids or ()),
        container_id=container.id,
        container=container.name,
        image=container.image,
        pod=f"{pod.namespace}/{pod.name}" if pod.name else None,
        pod_uid=pod.uid,
        workload=f"{pod.namespace}/{pod.owner_name}" if pod.owner_name and pod.namespace else None,
        node=event.node.name,
    )
