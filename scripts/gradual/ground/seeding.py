"""Seeding: numbers and digests that depend on a key alone, the same on every machine and in every order."""

from hashlib import blake2b


def seeded(*key: object) -> int:
    """A 64-bit integer that depends on the key alone."""
    return int.from_bytes(_hash(key), "big")


def digest_of(*parts: object) -> str:
    """16 hexadecimal digits that depend on the parts alone."""
    return _hash(parts).hex()


def _hash(parts: tuple[object, ...]) -> bytes:
    return blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
