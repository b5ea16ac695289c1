"""`POST /v1/certificates`: a sensor's token for a certificate. The one endpoint that strangers may speak to."""

from __future__ import annotations

import asyncio
import hashlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from watchkeeper_detection.node_wire import Certificate, CertificateRequest
from watchkeeper_operator.authority.certificates import AuthorityError, Signer, read_certificates, requested_key, sign_sensor
from watchkeeper_operator.bus.messages import Arrival, Discarded
from watchkeeper_operator.bus.taking import QueueFullError
from watchkeeper_operator.collector.issued import Issued, standing
from watchkeeper_operator.collector.routes import Answer, Refused, Route
from watchkeeper_operator.collector.tokens import claimed_pod, fetch_pod, review
from watchkeeper_operator.names import SYSTEM_NAMESPACE
from watchkeeper_operator.store.engine import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography import x509

    from watchkeeper_operator.bus.queue import Queue
    from watchkeeper_operator.cluster import Cluster
    from watchkeeper_operator.collector.cluster_view import ClusterView
    from watchkeeper_operator.collector.issued import IssuedCertificates
    from watchkeeper_operator.collector.rates import Rates
    from watchkeeper_operator.collector.routes import Call
    from watchkeeper_operator.collector.tokens import Bound

PATH = "/v1/certificates"
BODY_BYTES = 16 * 1024
AT_ONCE = 8  # questions to the API server
RENEW_SHARE = 2 / 3  # of a certificate's time
RESTART_SECONDS = 3.0  # that the kubelet takes to say that a container was started anew

_decoder = msgspec.msgpack.Decoder(CertificateRequest)


class Trade:
    """`authority`: what signs now; `clock`: seconds since the epoch."""

    def __init__(
        self,
        cluster: Cluster,
        view: ClusterView,
        authority: Callable[[], Signer],
        issued: IssuedCertificates,
        queue: Queue,
        rates: Rates,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        self._view = view
        self._authority = authority
        self._issued = issued
        self._queue = queue
        self._rates = rates
        self._clock = clock

    @property
    def route(self) -> Route:
        return Route("POST", PATH, None, BODY_BYTES, self.answer, AT_ONCE)

    async def answer(self, call: Call) -> Answer:
        asked = await call.decoded(_decoder)
        try:
            key = requested_key(asked.request)
        except AuthorityError:
            raise Refused(400, "NotARequest") from None
        pod_uid = claimed_pod(asked.token, self._clock())
        if not self._rates.take(pod_uid, is_known=self._view.runs(pod_uid, SYSTEM_NAMESPACE)):
            raise Refused(429, "TooOften", retry_after=5)
        bound = await review(self._cluster, asked.token)
        digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
        try:
            return Answer(msgspec.msgpack.encode(await self._issue(bound, asked.request, digest, call.address)))
        except (StoreError, QueueFullError):
            raise Refused(503, "StoreUnavailable", retry_after=5) from None

    async def _issue(self, bound: Bound, request: str, key: str, address: str) -> Certificate:
        authority = self._authority()
        signer = authority.certificate.fingerprint(hashes.SHA256()).hex()
        before = await asyncio.to_thread(self._issued.of_pod, bound.pod_uid, self._clock())
        pod = await fetch_pod(self._cluster, bound)
        if standing(before, key=key, authority=signer, restarts=pod.restarts, now=self._clock()) == "early":
            await asyncio.sleep(RESTART_SECONDS)
            pod = await fetch_pod(self._cluster, bound)
            if standing(before, key=key, authority=signer, restarts=pod.restarts, now=self._clock()) == "early":
                await self._report(bound, address)
                raise Refused(409, "SecondCertificate", retry_after=60)
        try:
            chain = sign_sensor(authority, request, bound.node_uid, datetime.fromtimestamp(self._clock(), UTC))
        except AuthorityError:
            raise Refused(503, "NoAuthority", retry_after=30) from None
        issued = _issued_of(bound, read_certificates(chain)[0], key, signer, pod.restarts, self._clock(), before)
        if not await asyncio.to_thread(self._issued.note, issued, now=self._clock(), replacing=before.latest if before else ""):
            raise Refused(409, "AnotherTrade", retry_after=1)
        return Certificate(certificate=chain, renew_after=issued.renew_at - self._clock())

    async def _report(self, bound: Bound, address: str) -> None:
        told = Discarded(reason="SecondCertificate", node_uid=bound.node_uid, node_name=bound.node_name, pod=bound.pod_name, address=address)
        await self._queue.put([Arrival(topic="discarded", source=f"node/{bound.node_uid}", payload=msgspec.msgpack.encode(told))])


def _issued_of(bound: Bound, certificate: x509.Certificate, key: str, signer: str, restarts: int, now: float, before: Issued | None) -> Issued:
    expires_at = certificate.not_valid_after_utc.timestamp()
    previous = "" if before is None else before.latest if before.used else before.previous
    return Issued(
        pod_uid=bound.pod_uid,
        node_uid=bound.node_uid,
        latest=certificate.fingerprint(hashes.SHA256()).hex(),
        previous=previous,
        key=key,
        authority=signer,
        restarts=restarts,
        renew_at=int(now + (expires_at - now) * RENEW_SHARE),
        expires_at=int(expires_at),
    )
