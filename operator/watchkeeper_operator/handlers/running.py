"""Kopf, in a thread and a loop of its own: when it stops it cancels what else it finds in its loop, and it would take the process's signals."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import kopf

from watchkeeper_operator.cluster import SILENCE_SECONDS, WATCH_SECONDS
from watchkeeper_operator.names import GROUP, SYSTEM_NAMESPACE

if TYPE_CHECKING:
    from kubernetes.aio.client import Configuration

LOGIN_AGAIN = timedelta(minutes=5)  # a projected token is renewed on disk well before it ends
END_SECONDS = 3.0


def operator_settings() -> kopf.OperatorSettings:
    """Nothing is posted, and no annotation or finalizer is Kopf's own."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.persistence.finalizer = f"{GROUP}/kopf"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = SILENCE_SECONDS
    settings.process.ultimate_exiting_timeout = None  # it would kill the whole process
    settings.scanning.disabled = True  # our kinds are there before we are
    return settings


def register_login(registry: kopf.OperatorRegistry, configuration: Configuration) -> None:
    """The same credentials as our own client's."""

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        words = (await configuration.get_api_key_with_prefix("BearerToken", alias="authorization") or "").split(" ", 1)
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
            scheme=words[0].capitalize() if len(words) == 2 else None,
            token=words[-1] or None,
            expiration=datetime.now(UTC) + LOGIN_AGAIN if words[-1] else None,
        )


async def run(registry: kopf.OperatorRegistry) -> None:
    """Until cancelled; raises what ended Kopf otherwise. Objects in our own namespace are watched, and those that lie in none."""
    stop = threading.Event()
    ended: Future[None] = Future()

    def react() -> None:
        try:
            asyncio.run(kopf.operator(registry=registry, settings=operator_settings(), standalone=True, namespaces=[SYSTEM_NAMESPACE], stop_flag=stop))
        except BaseException as error:  # noqa: BLE001 (passed on to who waits)
            ended.set_exception(error)
        else:
            ended.set_result(None)

    thread = threading.Thread(target=react, name="kopf", daemon=True)
    thread.start()
    try:
        await asyncio.shield(asyncio.wrap_future(ended))
    finally:
        stop.set()
        await asyncio.to_thread(thread.join, END_SECONDS)
