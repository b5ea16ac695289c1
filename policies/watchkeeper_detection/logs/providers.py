"""All readers there are. Who reads one kind of event alone does not need them, and spares the megabytes."""

from watchkeeper_detection.logs import azure, cloudtrail, gcp, kubernetes_audit, rbac, recorded, vpcflow, windows
from watchkeeper_detection.logs.provider import Provider

PROVIDERS: tuple[Provider, ...] = (
    kubernetes_audit.PROVIDER,
    cloudtrail.PROVIDER,
    vpcflow.PROVIDER,
    azure.PROVIDER,
    gcp.PROVIDER,
    windows.PROVIDER,
    recorded.PROVIDER,
    rbac.PROVIDER,
)
