"""Addresses and networks. IPv4 and IPv6 share one number line: IPv4 stands at ::ffff:0:0/96, where IPv6 maps it."""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING

from watchkeeper_detection.cel.values import ABSENT, CIDR, IP, Absent, Failed

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAPPED = 0xFFFF << 32


@lru_cache(maxsize=65536)
def address_number(text: str) -> int | None:
    """Place of an address on the number line; None when the text is no address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return int(address) | _MAPPED if address.version == 4 else int(address)


@lru_cache(maxsize=4096)
def read_ip(text: str) -> IP:
    """An address as the network functions of CEL take it: no zone, no dotted IPv4 inside IPv6. Raises Failed."""
    if "%" in text:
        raise Failed("an address with a zone is not allowed")
    if ":" in text and "." in text:
        raise Failed("an IPv4 address mapped into IPv6 is not allowed")
    number = address_number(text)
    if number is None:
        raise Failed(f"{text[:60]!r} is no IP address")
    return IP(4, number & 0xFFFFFFFF) if number >> 32 == 0xFFFF else IP(6, number)


@lru_cache(maxsize=4096)
def read_cidr(text: str) -> CIDR:
    """Raises Failed."""
    address, slash, prefix = text.partition("/")
    if not slash or not prefix.isascii() or not prefix.isdigit() or len(prefix) > 3:
        raise Failed(f"{text[:60]!r} is no network: write ADDRESS/PREFIX")
    ip = read_ip(address)
    if int(prefix) > (32 if ip.version == 4 else 128):
        raise Failed(f"{text[:60]!r} is no network: the prefix is too long")
    return CIDR(ip.version, ip.number, int(prefix))


def ip_text(ip: IP) -> str:
    return str(ipaddress.IPv4Address(ip.number) if ip.version == 4 else ipaddress.IPv6Address(ip.number))


def cidr_text(cidr: CIDR) -> str:
    return f"{ip_text(IP(cidr.version, cidr.number))}/{cidr.prefix}"


def bounds(cidr: CIDR) -> tuple[int, int]:
    """First and last address of the network, by number within its version."""
    host_bits = (32 if cidr.version == 4 else 128) - cidr.prefix
    first = cidr.number >> host_bits << host_bits
    return first, first + (1 << host_bits) - 1


def contains(cidr: CIDR, ip: IP) -> bool:
    first, last = bounds(cidr)
    return cidr.version == ip.version and first <= ip.number <= last


class Networks:
    """A set of networks, asked by address text: ranges merged and sorted, one binary search each."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, texts: Iterable[str]) -> None:
        """Raises Failed on a text that is no network; a bare address is a network of one."""
        ranges: list[tuple[int, int]] = []
        for text in texts:
            cidr = read_cidr(text if "/" in text else f"{text}/{128 if ':' in text else 32}")
            first, last = bounds(cidr)
            ranges.append((first | _MAPPED, last | _MAPPED) if cidr.version == 4 else (first, last))
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in sorted(ranges):
            if self._lasts and first <= self._lasts[-1] + 1:
                self._lasts[-1] = max(self._lasts[-1], last)
            else:
                self._firsts.append(first)
                self._lasts.append(last)

    def __call__(self, text: str) -> bool | Absent:
        """Whether one of them holds the address; absent when the text is no address (a service's name)."""
        number = address_number(text)
        if number is None:
            return ABSENT
        place = bisect_right(self._firsts, number) - 1
        return place >= 0 and number <= self._lasts[place]


@lru_cache(maxsize=65536)
def is_public(text: str) -> bool | Absent:
    """Whether the address is reachable from the internet (IANA special-purpose registries); absent when the text is no address."""
    number = address_number(text)
    if number is None:
        return ABSENT
    address = ipaddress.IPv4Address(number & 0xFFFFFFFF) if number >> 32 == 0xFFFF else ipaddress.IPv6Address(number)
    return address.is_global and not address.is_multicast


def contains_network(cidr: CIDR, other: CIDR) -> bool:
    first, last = bounds(cidr)
    other_first, other_last = bounds(other)
    return cidr.version == other.version and first <= other_first and other_last <= last


def address_object(ip: IP) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.IPv4Address(ip.number) if ip.version == 4 else ipaddress.IPv6Address(ip.number)


def is_global_unicast(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Go's net/netip sense, which CEL follows: private addresses are included."""
    return not (address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local or str(address) == "255.255.255.255")


def is_link_local_multicast(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    number = int(address)
    return number >> 8 == 0xE00000 if address.version == 4 else number >> 112 & 0xFF0F == 0xFF02
