"""The leader keeps the authority: makes it where there is none, renews what is about to end, and hands each process what it needs and no more."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509

from watchkeeper_operator import kinds
from watchkeeper_operator.authority import custody
from watchkeeper_operator.authority.certificates import (
    OPERATOR_LIFE,
    AuthorityError,
    make_client,
    make_sensors_authority,
    make_server,
    read_certificates,
    read_signer,
)
from watchkeeper_operator.authority.contexts import Identity, client_context
from watchkeeper_operator.authority.roles import Role
from watchkeeper_operator.authority.secrets import Secret, bundle_body, collector_texts, held_texts, read_held, secret_body
from watchkeeper_operator.cluster_errors import ClusterError, NotFound
from watchkeeper_operator.names import CA_SECRET, COLLECTOR_SECRET, COLLECTOR_SERVICE, GROUP, SYSTEM_NAMESPACE

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from watchkeeper_operator.authority.certificates import Signer
    from watchkeeper_operator.authority.custody import Held
    from watchkeeper_operator.cluster import Cluster

log = logging.getLogger(__name__)

BETWEEN_SECONDS = 30.0
RETRY_SECONDS = 2.0
RENEW_LEFT = 1 / 3  # of a certificate's life
ROTATE_ANNOTATION = f"{GROUP}/rotate"  # of the Secret watchkeeper-ca: any new text asks for another root
RETIRE_ANNOTATION = f"{GROUP}/retire"  # fingerprint of the previous root, to trust it no more
SERVER_NAMES = (
    f"{COLLECTOR_SERVICE}.{SYSTEM_NAMESPACE}.svc",
    COLLECTOR_SERVICE,
    f"{COLLECTOR_SERVICE}.{SYSTEM_NAMESPACE}",
    f"{COLLECTOR_SERVICE}.{SYSTEM_NAMESPACE}.svc.cluster.local",
)


def utc_now() -> datetime:
    return datetime.now(UTC)


class Keeping:
    """`tls` is the leader's own TLS towards collectors, once `ready` is set. `extra_names`: further names or addresses that clients call a collector by."""

    def __init__(
        self,
        cluster: Cluster,
        identity: str,
        *,
        extra_names: tuple[str, ...] = (),
        spread: timedelta = custody.SPREAD,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.ready = asyncio.Event()
        self.expires_at: dict[str, float] = {}
        self._cluster = cluster
        self._identity = identity
        self._names = (*SERVER_NAMES, *extra_names)
        self._spread = spread
        self._clock = clock
        self._own: Identity | None = None
        self._tls: ssl.SSLContext | None = None
        self._trusted = ""

    def tls(self) -> ssl.SSLContext:
        """Raises AuthorityError before `ready`."""
        if self._tls is None:
            raise AuthorityError("there is no authority yet")
        return self._tls

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.keep()
            except (ClusterError, AuthorityError) as trouble:
                log.warning("the authority can't be kept now: %s", trouble)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                await asyncio.sleep(BETWEEN_SECONDS)

    async def keep(self) -> None:
        """Gather, decide, apply, once. Raises ClusterError, AuthorityError."""
        now = self._clock()
        held = await self._held(now)
        given = await self._secret(COLLECTOR_SECRET)
        texts = collector_needs(held, given.texts if given else {}, self._names, now)
        if given is None or given.texts != texts:
            await self._cluster.apply(kinds.SECRETS, secret_body(COLLECTOR_SECRET, texts))
        await self._publish(held.trusted)
        self._renew_own(held, now)
        self.expires_at = {
            "root": held.current.certificate.not_valid_after_utc.timestamp(),
            "collector": read_certificates(texts["tls.crt"])[0].not_valid_after_utc.timestamp(),
            "sensors": read_certificates(texts["sensors.crt"])[0].not_valid_after_utc.timestamp(),
        }
        self.ready.set()

    async def _held(self, now: datetime) -> Held:
        found = await self._secret(CA_SECRET)
        if found is None or not found.texts:
            held = custody.first(now)
            if found is None:
                await self._cluster.create(kinds.SECRETS, secret_body(CA_SECRET, held_texts(held)))
            else:
                await self._write(held, found)
            log.info("made the authority %s", custody.fingerprint(held.current.certificate))
            return held
        held = read_held(found.texts)
        annotations = found.metadata.annotations
        after = custody.advanced(held, now, asked=annotations.get(ROTATE_ANNOTATION, ""), retire=annotations.get(RETIRE_ANNOTATION, ""), spread=self._spread)
        if after is not held:
            await self._write(after, found)
            log.info("the authority moves on: %s signs", custody.fingerprint(after.current.certificate))
        return after

    async def _write(self, held: Held, found: Secret) -> None:
        """Only over what was read. Raises Conflict."""
        body = secret_body(CA_SECRET, held_texts(held), resource_version=found.metadata.resource_version)
        body["metadata"] |= {"annotations": found.metadata.annotations, "labels": found.metadata.labels}
        await self._cluster.replace(kinds.SECRETS, body)

    async def _secret(self, name: str) -> Secret | None:
        try:
            return await self._cluster.get(kinds.SECRETS, Secret, name, namespace=SYSTEM_NAMESPACE)
        except NotFound:
            return None

    async def _publish(self, trusted: str) -> None:
        if trusted != self._trusted:
            await self._cluster.apply(kinds.CONFIG_MAPS, bundle_body(trusted))

    def _renew_own(self, held: Held, now: datetime) -> None:
        old = read_certificates(self._own.chain)[0] if self._own else None
        if old is not None and held.trusted == self._trusted and not needs_renewal(old, held.current, now):
            return
        made = make_client(held.current, Role.OPERATOR, self._identity, now, OPERATOR_LIFE)
        self._own = Identity(made.chain + held.vouching, made.key)
        self._trusted = held.trusted
        self._tls = client_context(self._own, self._trusted)


def collector_needs(held: Held, texts: Mapping[str, str], names: tuple[str, ...], now: datetime) -> dict[str, str]:
    """Content of the collector's Secret: what is there, with what is missing, wrong or about to end made anew."""
    try:
        server = Identity(texts["tls.crt"], texts["tls.key"])
        certificate = read_signer(server.chain, server.key).certificate
        keep_server = not needs_renewal(certificate, held.current, now) and set(names) <= names_of(certificate)
    except (KeyError, AuthorityError):
        keep_server = False
    if not keep_server:
        made = make_server(held.current, names, now)
        server = Identity(made.chain + held.vouching, made.key)
    try:
        sensors = read_signer(texts["sensors.crt"], texts["sensors.key"])
        keep_sensors = not needs_renewal(sensors.certificate, held.current, now)
    except (KeyError, AuthorityError):
        keep_sensors = False
    if not keep_sensors:
        sensors = make_sensors_authority(held.current, now)
    return collector_texts(server, sensors, held.trusted)


def needs_renewal(certificate: x509.Certificate, root: Signer, now: datetime) -> bool:
    """Whether it is of another root, or a third of its life or less is left."""
    left, life = certificate.not_valid_after_utc - now, certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.issuer != root.certificate.subject or left <= life * RENEW_LEFT


def names_of(certificate: x509.Certificate) -> set[str]:
    """DNS names and addresses of a server's certificate."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}
