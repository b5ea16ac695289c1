"""Addresses of the node, as the network namespace of its first process shows them, whichever one we are in."""

from __future__ import annotations

import re
import struct
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path

NODE = Path("/proc/1/net")
LOCAL = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")
UNIVERSE = 0  # scope of an IPv6 address that is valid everywhere
UP, GATEWAY = 1, 2  # flags of a route. Source: linux/route.h


def all_addresses(folder: Path = NODE) -> list[str]:
    """Addresses of all interfaces but loopback and link-local ones, IPv4 first."""
    found: tuple[IPv4Address | IPv6Address, ...] = (*_fours(folder), *_sixes(folder))
    return [str(one) for one in found if not one.is_loopback and not one.is_link_local]


def default_address(folder: Path = NODE) -> str | None:
    """Own address on the interface of the default route with the least metric; the first IPv6 address where IPv4 has none."""
    routes = [_route(line.split()) for line in _text(folder / "route").splitlines()[1:]]
    ways = sorted((metric, interface) for interface, network, flags, metric in routes if network.prefixlen == 0 and flags & UP)
    for _, interface in ways:
        linked = [network for name, network, flags, _ in routes if name == interface and network.prefixlen and not flags & GATEWAY]
        for address in _fours(folder):
            if any(address in network for network in linked):
                return str(address)
    return next((address for address in all_addresses(folder) if ":" in address), None)


def _route(words: list[str]) -> tuple[str, IPv4Network, int, int]:
    """(interface, destination, flags, metric) of a line of /proc/net/route, whose addresses are numbers of the machine's order."""
    destination, mask = (IPv4Address(struct.pack("=I", int(words[at], 16))) for at in (1, 7))
    return words[0], IPv4Network(f"{destination}/{mask}", strict=False), int(words[3], 16), int(words[6])


def _fours(folder: Path) -> list[IPv4Address]:
    return sorted({IPv4Address(text) for text in LOCAL.findall(_text(folder / "fib_trie"))})


def _sixes(folder: Path) -> list[IPv6Address]:
    lines = [line.split() for line in _text(folder / "if_inet6").splitlines()]
    return sorted(IPv6Address(int(words[0], 16)) for words in lines if int(words[3], 16) == UNIVERSE)


def _text(path: Path) -> str:
    """Empty where the kernel has no such file (IPv6 may be off) or does not let us read it."""
    try:
        return path.read_text()
    except OSError:
        return ""
