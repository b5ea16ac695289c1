"""`watchkeeper collector`: the process in a cluster that listens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watchkeeper_cli.ending import UNREADABLE, USAGE, CommandError

MIB = 1024 * 1024


def collector(
    identity: Annotated[str, typer.Option(envvar="POD_NAME", help="Name of this replica (metadata.name of the pod).", metavar="NAME")],
    certificates: Annotated[
        Path, typer.Option(envvar="WATCHKEEPER_CERTIFICATES", help="Folder where the Secret watchkeeper-collector-tls is mounted.", metavar="DIR")
    ] = Path("/etc/watchkeeper/tls"),
    store: Annotated[
        str,
        typer.Option(
            envvar="WATCHKEEPER_STORE",
            help="Database of the queue: sqlite:////FOLDER/FILE of one replica, or postgresql://USER@HOST/NAME of all.",
            metavar="URL",
        ),
    ] = "sqlite:////var/lib/watchkeeper/collector.db",
    listen: Annotated[
        str, typer.Option(envvar="WATCHKEEPER_LISTEN", help="Where sensors, API servers and the operator are heard.", metavar="HOST:PORT")
    ] = ":8443",
    metrics: Annotated[str, typer.Option(envvar="WATCHKEEPER_METRICS", help="Where /healthz, /readyz and /metrics are.", metavar="HOST:PORT")] = ":8080",
    kubeconfig: Annotated[
        Path | None, typer.Option(envvar="WATCHKEEPER_KUBECONFIG", help="Cluster and credentials. Default: the pod's own account.", metavar="FILE")
    ] = None,
    cluster_name: Annotated[str, typer.Option(envvar="WATCHKEEPER_CLUSTER_NAME", help="Name of this cluster, for node.cluster.", metavar="NAME")] = "",
    queue_mib: Annotated[
        int, typer.Option(envvar="WATCHKEEPER_QUEUE_MIB", min=1, max=1024 * 1024, help="How much may wait for the operator; its volume needs twice that.")
    ] = 1024,
    connections: Annotated[int, typer.Option(envvar="WATCHKEEPER_CONNECTIONS", min=16, max=65536, help="Connections at a time; a node has up to four.")] = 4096,
    tenant_limits: Annotated[
        str, typer.Option(envvar="WATCHKEEPER_TENANT_LIMITS", help="As of `watchkeeper operator`: both have to be told the same.", metavar="policies=20,…")
    ] = "",
    tenant_event_kinds: Annotated[
        str, typer.Option(envvar="WATCHKEEPER_TENANT_EVENT_KINDS", help="As of `watchkeeper operator`.", metavar="process.exec,network.*,…")
    ] = "",
    state: Annotated[
        Path, typer.Option(envvar="WATCHKEEPER_STATE", help="Folder for notes on how far audit files were read (LogSources of type AuditFile).", metavar="DIR")
    ] = Path("/var/lib/watchkeeper"),
    log_level: Annotated[str, typer.Option(envvar="WATCHKEEPER_LOG_LEVEL", help="debug, info, warning or error.", metavar="LEVEL")] = "info",
) -> None:
    """Run the collector: every endpoint of Watchkeeper in a cluster, and all parsing of what others send.

    It observes the cluster and writes nothing to it. What it takes is on disk before it is answered, and stays there until the operator has it.

    \b
    POST /v1/certificates          a sensor's token for a certificate       no client certificate; the token is reviewed
    POST /v1/deliveries            what a node found                        a sensor's
    GET  /v1/feed                  a node's policies and pods               a sensor's
    PUT  /v1/state                 how a node's sensor is                   a sensor's
    POST /v1/audit                 batches of the API server's audit log    of the audit backend (watchkeeper audit-config)
    GET  /v1/messages              what waits for the operator              the operator's, as the rest
    POST /v1/messages/acknowledge
    POST /v1/canaries

    TLS 1.3 only. Callers without the certificate that a path takes are refused before their body is read, larger bodies unread.
    Files of the mounted Secret are taken up within seconds of a change, without a restart.

    \b
    /healthz   fails when a watch or a loop has been silent for a minute; the API server being away is no such case
    /readyz    fails until pods, nodes and policies are known
    /metrics   takes the bearer token of an account that may get the nonResourceURL /metrics

    \b
    watchkeeper collector --identity "$HOSTNAME"
    watchkeeper collector --identity me --kubeconfig ~/.kube/config --certificates ./tls --store sqlite:////tmp/collector.db     for a look

    \b
    Several replicas need PostgreSQL: each answers only when the store has what it took.
    Logs are lines of JSON on stderr. Exit status: 0 ended by SIGTERM, 2 wrong settings, 3 the store, an address or the cluster's credentials can't be used.
    """
    from kubernetes.aio.config import ConfigException

    from watchkeeper_operator.bus.taking import Bounds as QueueBounds
    from watchkeeper_operator.collector.connections import Bounds
    from watchkeeper_operator.collector.process import run
    from watchkeeper_operator.collector.settings import Settings
    from watchkeeper_operator.settings import SettingsError, listening_at
    from watchkeeper_operator.settings import tenant_limits as limits_of
    from watchkeeper_operator.store.engine import StoreError

    if log_level not in ("debug", "info", "warning", "error"):
        raise CommandError(f"--log-level {log_level} is not one of debug, info, warning, error", USAGE)
    try:
        settings = Settings(
            identity=identity,
            given=certificates,
            store=store,
            kubeconfig=kubeconfig,
            listen=listening_at(listen),
            metrics=listening_at(metrics),
            cluster=cluster_name,
            log_level=log_level,
            queue=QueueBounds(bytes=queue_mib * MIB),
            connections=Bounds(whole=connections),
            limits=limits_of(tenant_limits, tenant_event_kinds),
            state=state,
        )
    except SettingsError as wrong:
        raise CommandError("the settings are wrong; nothing was started", USAGE, tuple(str(wrong).splitlines())) from None
    try:
        run(settings)
    except StoreError as trouble:
        raise CommandError(f"the store can't be used: {trouble}", UNREADABLE) from None
    except ConfigException as trouble:
        raise CommandError(f"no cluster: {trouble}", UNREADABLE) from None
    except OSError as trouble:
        raise CommandError(f"can't listen: {trouble.strerror or trouble}", UNREADABLE) from None
