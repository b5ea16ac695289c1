"""How the authority lies in Secrets: `watchkeeper-ca` is the operator's alone, `watchkeeper-collector-tls` is mounted by the collector."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_operator.authority.certificates import AuthorityError, Signer, has_key_identifier, key_pem, pem, read_certificates, read_signer
from watchkeeper_operator.authority.custody import Held
from watchkeeper_operator.names import CA_BUNDLE, CA_SECRET, SYSTEM_NAMESPACE
from watchkeeper_operator.shapes import Metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchkeeper_operator.authority.contexts import Identity


class Secret(msgspec.Struct, frozen=True):
    """`data`: base64 as the API has it."""

    metadata: Metadata
    data: dict[str, str] | None = None

    @property
    def texts(self) -> dict[str, str]:
        """Raises AuthorityError, which repeats nothing of it."""
        try:
            return {name: base64.b64decode(value, validate=True).decode("ascii") for name, value in (self.data or {}).items()}
        except (binascii.Error, UnicodeDecodeError, ValueError):
            raise AuthorityError(f"Secret {self.metadata.name} holds what is no text") from None


def held_texts(held: Held) -> dict[str, str]:
    """Content of `watchkeeper-ca`. `ca.crt` and `ca.key` are the names by which `audit-config` reads and writes a root."""
    texts = {"ca.crt": pem(held.current.certificate), "ca.key": key_pem(held.current.key)}
    if held.next is not None and held.next_since is not None:
        texts |= {"next.crt": pem(held.next.certificate), "next.key": key_pem(held.next.key), "next-since": held.next_since.isoformat()}
    if held.previous is not None:
        texts["previous.crt"] = pem(held.previous)
    if held.cross is not None:
        texts["cross.crt"] = pem(held.cross)
    if held.asked:
        texts["asked"] = held.asked
    return texts


def read_held(texts: Mapping[str, str]) -> Held:
    """Raises AuthorityError."""
    if not {"ca.crt", "ca.key"} <= texts.keys():
        raise AuthorityError(f"Secret {CA_SECRET} holds no ca.crt and ca.key")
    if not has_key_identifier(read_certificates(texts["ca.crt"])[0]):
        raise AuthorityError(
            f"Secret {CA_SECRET}: ca.crt has no subject key identifier, so that no client would accept what it signs: make one by audit-config"
        )
    following = read_signer(texts["next.crt"], texts.get("next.key", "")) if "next.crt" in texts else None
    return Held(
        current=read_signer(texts["ca.crt"], texts["ca.key"]),
        next=following,
        next_since=_moment(texts.get("next-since", "")) if following else None,
        previous=read_certificates(texts["previous.crt"])[0] if "previous.crt" in texts else None,
        cross=read_certificates(texts["cross.crt"])[0] if "cross.crt" in texts else None,
        asked=texts.get("asked", ""),
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise AuthorityError(f"Secret {CA_SECRET}: next-since is no time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def collector_texts(server: Identity, sensors: Signer, trusted: str) -> dict[str, str]:
    """The files of authority/files.py."""
    return {
        "tls.crt": server.chain,
        "tls.key": server.key,
        "ca.crt": trusted,
        "sensors.crt": pem(sensors.certificate),
        "sensors.key": key_pem(sensors.key),
    }


def secret_body(name: str, texts: Mapping[str, str], *, resource_version: str = "") -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": SYSTEM_NAMESPACE}
    if resource_version:
        metadata["resourceVersion"] = resource_version
    return {"metadata": metadata, "type": "Opaque", "data": {key: base64.b64encode(value.encode()).decode() for key, value in texts.items()}}


def bundle_body(trusted: str) -> dict[str, Any]:
    """The ConfigMap that sensors mount."""
    return {"metadata": {"name": CA_BUNDLE, "namespace": SYSTEM_NAMESPACE}, "data": {"ca.crt": trusted}}
