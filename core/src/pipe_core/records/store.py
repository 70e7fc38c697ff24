"""The hook store: what the hooks of one worker keep between entries."""

from __future__ import annotations

import threading
from typing import Any


class HookStore:
    """Room for connections, caches and counters: one for each worker, made before `setup`, gone after `teardown`.

    ``store["client"]`` and ``store.client`` are the same. ``store.lock`` is held around sync hooks where several
    threads share the store; around an ``await`` it never is.
    """

    def __init__(self) -> None:
        self.__dict__["lock"] = threading.RLock()
        self.__dict__["_kept"] = {}

    def __getitem__(self, key: str) -> Any:
        return self._kept[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._kept[key] = value

    def __delitem__(self, key: str) -> None:
        del self._kept[key]

    def __contains__(self, key: object) -> bool:
        return key in self._kept

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self.__dict__["_kept"][name]
        except KeyError:
            raise AttributeError(f"nothing called '{name}' is in the store; it has: {sorted(self._kept)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._kept[name] = value

    def get(self, key: str, default: Any = None) -> Any:
        """What is kept under *key*, or *default*."""
        return self._kept.get(key, default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """What is kept under *key*; *default* is kept there first if nothing is."""
        return self._kept.setdefault(key, default)

    def __repr__(self) -> str:
        return f"<HookStore {sorted(self._kept)}>"
