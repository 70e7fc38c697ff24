"""Observers: who hears of events."""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """What a plugin of the family ``observers`` makes: any object with `hookimpl` methods named after events."""
