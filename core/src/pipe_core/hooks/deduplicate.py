"""The hook `deduplicate`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, ClassVar, Literal

from pipe_core.hooks.fields import read, record_of
from pipe_core.hooks.functions import check_word
from pipe_core.hooks.identity import DIGEST_BYTES, digest
from pipe_core.hooks.options import OnDuplicate
from pipe_core.kernel.errors import OptionsError
from pipe_core.records.entry import Entry
from pipe_core.records.hooks import BaseHook, HookPriority, Verdict
from pipe_core.records.store import HookStore


class DeduplicateHook(BaseHook):
    """Keeps the first record of each key, in the order of the source, whatever the executor.

    Workers make a digest of the key; the driver remembers the digests that it has seen and decides at the ordered
    commit. It holds 16 bytes for every different key, about 100 with Python's own share: 100 MB for a million keys.

    Values are the same when they have the same type and are written the same: ``1`` and ``1.0`` are two keys. Behind
    validation, its place by default, only valid records count; before it, an invalid one may be the first of its key.

    Args:
        keys: The fields that make a record the same as another one; default: all of them.
        on_duplicate: ``"drop"`` the later ones, or ``"fail"`` them, which sends them to the error sink.
        priority: When it runs among the hooks of its side.

    Raises:
        OptionsError: The list of keys is empty, or *on_duplicate* unknown.
    """

    scope: ClassVar[Literal["chunk", "run"]] = "run"
    refusal = "a record before it has the same key"

    def __init__(
        self,
        keys: str | Iterable[str] | None = None,
        *,
        on_duplicate: OnDuplicate = "drop",
        priority: int = HookPriority.NORMAL,
    ) -> None:
        self.priority = priority
        self._keys = (keys,) if isinstance(keys, str) else None if keys is None else tuple(keys)
        self.may_fail = on_duplicate == "fail"
        self._on_duplicate = on_duplicate
        self._seen: dict[bytes, None] = {}  # in the order in which they came
        self._kept = 0
        if self._keys == ():
            raise OptionsError("DeduplicateHook: keys is empty. Name fields, or leave it out to compare whole records.")
        check_word(on_duplicate, OnDuplicate, "DeduplicateHook: on_duplicate")

    def begin(self) -> None:
        """Forget the run before."""
        self._seen.clear()
        self._kept = 0

    def value(self, entry: Entry, store: HookStore) -> bytes:
        """The digest of the entry's key."""
        record = record_of(entry)
        if self._keys is None:
            return digest((dict(record),))
        return digest(tuple([read(record, key) for key in self._keys]))

    def decide(self, value: Any, position: int) -> Verdict:
        """Keep the first."""
        if value in self._seen:
            return self._on_duplicate
        self._seen[value] = None
        return "keep"

    def checkpoint(self) -> bytes | None:
        """The digests that came since the last call, one behind the other."""
        news = b"".join(islice(self._seen, self._kept, None))
        self._kept = len(self._seen)
        return news or None

    def restore(self, news: bytes) -> None:
        """Remember them."""
        self._seen.update(dict.fromkeys(news[at : at + DIGEST_BYTES] for at in range(0, len(news), DIGEST_BYTES)))
        self._kept = len(self._seen)

    def __getstate__(self) -> dict[str, Any]:
        """What travels to other processes: not what was seen."""
        return {**vars(self), "_seen": {}}
