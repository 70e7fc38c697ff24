"""Hooks: what is called for each entry."""

from __future__ import annotations

from typing import Any, Protocol


class RecordHook(Protocol):
    """What a plugin of the family ``hooks`` makes, unless it is a `BaseHook`: called for each entry."""

    def __call__(self, entry: Any, store: Any, /) -> Any:
        """Change *entry* in place. Gives None to keep it, or the list of entries to go on with."""
