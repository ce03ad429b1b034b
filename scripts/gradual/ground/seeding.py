"""Seeding: numbers and digests that depend only on a key. They are the same on every machine and in every order."""

from hashlib import blake2b


def seeded(*key: object) -> int:
    """A 64-bit integer that depends only on the key."""
    return int.from_bytes(_hash(key), "big")


def digest_of(*parts: object) -> str:
    """16 hexadecimal digits that depend only on the parts."""
    return _hash(parts).hex()


def _hash(parts: tuple[object, ...]) -> bytes:
    return blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
