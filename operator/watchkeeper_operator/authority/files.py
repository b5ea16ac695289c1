"""What the collector is given by its Secret, as files of a mounted volume: its certificate, the roots that it trusts, and what it signs sensors' with.

tls.crt  tls.key          its certificate, those between it and a root, and the key
ca.crt                    roots that client certificates end in; two while a root is replaced
sensors.crt  sensors.key  the sensors' authority
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watchkeeper_operator.authority.certificates import AuthorityError, Signer, read_certificates, read_signer
from watchkeeper_operator.authority.contexts import Identity

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("tls.crt", "tls.key", "ca.crt", "sensors.crt", "sensors.key")
FILE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Given:
    """All of it, read at one time. Equal where the files are."""

    server: Identity
    trusted: str
    sensors: Signer = field(compare=False)
    sensors_chain: str


def read_given(folder: Path) -> Given:
    """Raises AuthorityError, which says what is wrong and repeats no key."""
    texts = [_text(folder / name) for name in NAMES]
    certificate, key, trusted, sensors, sensors_key = texts
    read_signer(certificate, key)
    read_certificates(trusted)
    return Given(Identity(certificate, key), trusted, read_signer(sensors, sensors_key), sensors)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES).decode("ascii")
    except OSError as error:
        raise AuthorityError(f"can't read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AuthorityError(f"{path} is not PEM") from None
