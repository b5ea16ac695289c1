"""`watchkeeper operator`: the process in a cluster that acts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watchkeeper_cli.ending import UNREADABLE, USAGE, CommandError

COLLECTOR = "https://watchkeeper-collector.watchkeeper-system.svc"


def operator(
    sensor_image: Annotated[str, typer.Option(envvar="WATCHKEEPER_SENSOR_IMAGE", help="Image that the DaemonSets of Sensors run.", metavar="IMAGE")],
    identity: Annotated[str, typer.Option(envvar="POD_NAME", help="Name of this replica (metadata.name of the pod).", metavar="NAME")],
    store: Annotated[
        str,
        typer.Option(envvar="WATCHKEEPER_STORE", help="Database: sqlite:////FOLDER/FILE of one replica, or postgresql://USER@HOST/NAME of all.", metavar="URL"),
    ] = "sqlite:////var/lib/watchkeeper/operator.db",
    listen: Annotated[str, typer.Option(envvar="WATCHKEEPER_LISTEN", help="Where /healthz, /readyz and /metrics are.", metavar="HOST:PORT")] = ":8080",
    kubeconfig: Annotated[
        Path | None, typer.Option(envvar="WATCHKEEPER_KUBECONFIG", help="Cluster and credentials. Default: the pod's own account.", metavar="FILE")
    ] = None,
    collectors: Annotated[
        str,
        typer.Option(
            envvar="WATCHKEEPER_COLLECTORS",
            help="Where collectors are: their Service, where they share a database; else each of them by its own name.",
            metavar="URL,…",
        ),
    ] = COLLECTOR,
    notify: Annotated[
        str, typer.Option(envvar="WATCHKEEPER_NOTIFY", help="Where incidents are posted, signed; takes --notify-secret.", metavar="https://…")
    ] = "",
    notify_secret: Annotated[
        Path | None, typer.Option(envvar="WATCHKEEPER_NOTIFY_SECRET", help="File with the secret of the signature.", metavar="FILE")
    ] = None,
    alertmanager: Annotated[str, typer.Option(envvar="WATCHKEEPER_ALERTMANAGER", help="Alertmanager that gets incidents.", metavar="https://…")] = "",
    tenant_limits: Annotated[
        str,
        typer.Option(
            envvar="WATCHKEEPER_TENANT_LIMITS",
            help="What each namespace but root may have: policies, rules, cost, characters, exceptions, lists, list_characters, exception_days.",
            metavar="policies=20,rules=100,…",
        ),
    ] = "",
    tenant_event_kinds: Annotated[
        str,
        typer.Option(
            envvar="WATCHKEEPER_TENANT_EVENT_KINDS",
            help="Kinds of events that policies of these namespaces may read. Default: those that are cheap to see; no reads, writes or sends.",
            metavar="process.exec,network.*,…",
        ),
    ] = "",
    lease_seconds: Annotated[
        float, typer.Option(envvar="WATCHKEEPER_LEASE_SECONDS", help="How long a leader that vanished is waited for.", metavar="SECONDS")
    ] = 15.0,
    log_level: Annotated[str, typer.Option(envvar="WATCHKEEPER_LOG_LEVEL", help="debug, info, warning or error.", metavar="LEVEL")] = "info",
) -> None:
    """Run the operator: judge the policies of a cluster, run its sensors, join what they find into incidents.

    Any number of replicas may run; the one that holds the Lease watchkeeper-operator in watchkeeper-system leads, and alone writes. Each write carries the
    Lease's leaseTransitions, so that the API server refuses a leader that was replaced and does not know it yet. Two replicas need PostgreSQL.

    A policy that can't be used gets the condition Accepted=False, with each error's place and what was probably meant; its last good revision stays in force.

    \b
    watchkeeper operator --sensor-image registry.example/watchkeeper-sensor:0.1.0 --identity "$HOSTNAME"
    watchkeeper operator … --kubeconfig ~/.kube/config --store sqlite:////tmp/operator.db     outside the cluster, for a look

    \b
    /healthz   fails when a watch or a loop has been silent for a minute; the API server being away is no such case
    /readyz    fails until the policies have been judged
    /metrics   takes the bearer token of an account that may get the nonResourceURL /metrics

    \b
    Logs are lines of JSON on stderr. Exit status: 0 ended by SIGTERM, 2 wrong settings, 3 the store or the cluster's credentials can't be used,
    70 parts of a leader that was replaced did not end in time.
    """
    from kubernetes.aio.config import ConfigException

    from watchkeeper_operator.main import run
    from watchkeeper_operator.settings import Settings, SettingsError, incident_settings, listening_at, timing_of
    from watchkeeper_operator.settings import tenant_limits as limits_of
    from watchkeeper_operator.store.engine import StoreError
    from watchkeeper_sensor.lookout import own_version

    try:
        settings = Settings(
            identity=identity,
            sensor_image=sensor_image,
            version=own_version() or "0",
            store=store,
            kubeconfig=kubeconfig,
            listen=listening_at(listen),
            log_level=log_level,
            limits=limits_of(tenant_limits, tenant_event_kinds),
            timing=timing_of(lease_seconds),
            incidents=incident_settings(collectors, notify, notify_secret, alertmanager),
        )
    except SettingsError as wrong:
        raise CommandError("the settings are wrong; nothing was started", USAGE, tuple(str(wrong).splitlines())) from None
    try:
        run(settings)
    except StoreError as trouble:
        raise CommandError(f"the store can't be used: {trouble}", UNREADABLE) from None
    except ConfigException as trouble:
        raise CommandError(f"no cluster can be reached: {trouble}", UNREADABLE) from None
