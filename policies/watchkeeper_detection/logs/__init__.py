"""Readers of logs: chunks of bytes in, events out, one file per provider. Pure: opening files is a transport's business."""

from watchkeeper_detection.logs import azure, cloudtrail, gcp, kubernetes_audit, recorded, vpcflow, windows
from watchkeeper_detection.logs.provider import Provider

PROVIDERS: tuple[Provider, ...] = (
    kubernetes_audit.PROVIDER,
    cloudtrail.PROVIDER,
    vpcflow.PROVIDER,
    azure.PROVIDER,
    gcp.PROVIDER,
    windows.PROVIDER,
    recorded.PROVIDER,
)
