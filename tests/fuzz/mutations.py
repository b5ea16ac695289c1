"""Makes inputs out of seeds: what damaged files, careless people and attackers send."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

TOKENS = (
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\n", b"\r\n", b"\x00", b"\xff", b"\xed\xa0\x80", b"\\ud800", b"null", b"true", b"1e999", b"-0", b"9223372036854775808",
    b"0x7fffffffffffffff", b"{{", b"}}", b"&&", b"||", b"!", b"(", b")", b"has(", b".exists(x, ", b".matches('(a+)+$')", b" in ", b"lists.", b"'", b'"""', b"r'", b"b'", b"?", b": ",
    b"- ", b"&a ", b"*a", b"!!python/object:os.system ", b"<<: ", b"---\n", b"# ", b'{"Records":[', b'"eventVersion"', b"\x1f\x8b\x08", b"PAR1", b"\xef\xbb\xbf",
)  # fmt: skip
INPUT_BYTES = 1 << 16


def mutated(seeds: tuple[bytes, ...], chance: random.Random) -> bytes:
    """A seed changed in one to eight ways."""
    made = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        at = chance.randrange(len(made) + 1)
        match chance.randrange(9):
            case 0 if made:
                made[at - 1] ^= 1 << chance.randrange(8)
            case 1:
                made[at:at] = chance.choice(TOKENS)
            case 2:
                del made[at : at + chance.randrange(1, 32)]
            case 3:
                made[at:at] = made[at : at + chance.randrange(1, 200)] * chance.choice((1, 2, 20))
            case 4:
                other = chance.choice(seeds)
                cut = chance.randrange(len(other) + 1)
                made[at:] = other[cut:]
            case 5:
                del made[at:]
            case 6:
                made[at:at] = chance.choice(TOKENS) * chance.choice((2, 50, 1000))
            case 7:
                made[at:at] = chance.randbytes(chance.randrange(1, 16))
            case 8 if made:
                made[at - 1 : at] = chance.choice(b"0123456789.-+eE \t").to_bytes(1, "little")
    return bytes(made[:INPUT_BYTES])
