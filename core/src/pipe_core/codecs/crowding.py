"""Protection of dicts and sets against keys that were chosen to have the same hash.

Strings and bytes are hashed with a secret, numbers are not: 100,000 multiples of 2**61 - 1 as keys of one dict are a
frame of 2 MB that takes a minute to decode.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

MAX_CROWDED_KEYS: Final = 64
"""How many keys of one dict or set may have a hash that another key has as well."""
_SECRET: Final = frozenset({str, bytes})


def is_crowded(keys: Collection[Any]) -> bool:
    """Whether so many *keys* share their hashes that a dict of them would be slow."""
    if len(keys) <= MAX_CROWDED_KEYS or set(map(type, keys)) <= _SECRET:
        return False
    return len(keys) - len(set(map(hash, keys))) > MAX_CROWDED_KEYS
