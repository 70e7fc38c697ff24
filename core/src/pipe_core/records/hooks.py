"""Record hooks: code that runs on entries before or after validation, in the ways people write it."""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from pipe_core.kernel.access import get_hook
from pipe_core.kernel.errors import HookContractError, OptionsError
from pipe_core.records.entry import Entry
from pipe_core.records.store import HookStore

Verdict: TypeAlias = Literal["keep", "drop", "fail"]


class HookPriority(enum.IntEnum):
    """When a hook runs among those of its side: lower first, equal in the order given."""

    VERY_HIGH = 0
    HIGH = 25
    NORMAL = 50
    LOW = 75
    VERY_LOW = 100


class BaseHook:
    """A hook for many entries at a time. Subclass it and write `execute`, sync or async.

    Attributes:
        priority: When it runs among the others.
        scope: ``"chunk"``; or ``"run"`` for a hook whose decision depends on the whole run: then write `value`, which
            makes a small value of an entry on a worker, and `decide`, which is asked for every entry in order on the
            driver, in place of `execute`.
        chunk_size: The number of entries that `execute` gets; None when it does not depend on it.
        repeatable: Whether `execute` may be called again for the same entries, one by one, to find the culprit after
            it raised. False needs a `chunk_size`, and fails the whole chunk.
        may_fail: With ``scope = "run"``: whether `decide` may answer ``"fail"``; costs an error row for each entry.
        refusal: With `may_fail`: the reason that the error row gives.
        needs_position: Whether it reads ``entry.position`` or ``entry.id``. Keeps the source from being split.
    """

    priority: int = HookPriority.NORMAL
    scope: ClassVar[Literal["chunk", "run"]] = "chunk"
    chunk_size: int | None = None
    repeatable: bool = True
    may_fail: bool = False
    refusal: str = "refused"
    needs_position: bool = False

    def setup(self, store: HookStore) -> Any:
        """Called once in every worker before its first entry. May be async."""

    def execute(self, entries: list[Entry], store: HookStore) -> Sequence[Entry] | Awaitable[Any] | None:
        """Change *entries* in place.

        Returns:
            None to keep them all, or those to go on with: fewer drop records, more add some (see `Entry.copy`).
        """
        return None

    def begin(self) -> None:
        """With ``scope = "run"``: forget what an earlier run left. Called on the driver before the first `decide`."""

    def value(self, entry: Entry, store: HookStore) -> Any:
        """With ``scope = "run"``: a small value of plain data, which travels to `decide`."""

    def decide(self, value: Any, position: int) -> Verdict:
        """With ``scope = "run"``: what becomes of the entry at *position*. Called on the driver, in order."""
        return "keep"

    def checkpoint(self) -> Any:
        """With ``scope = "run"``, in a run that can be resumed: what `decide` has learnt since the last call.

        Plain data of msgpack's types, or None for nothing new. Without memory there is nothing to write here.
        """
        return None

    def restore(self, news: Any) -> None:
        """Behind `begin`: learn again what `checkpoint` gave, call by call in their order."""

    def teardown(self, store: HookStore) -> Any:
        """Called once in every worker that ends in order. May be async."""


@dataclass(frozen=True, slots=True)
class BoundHook:
    """A hook as the worker runs it, whatever it was written as."""

    name: str
    kind: Literal["entry", "chunk", "run"]
    call: Callable[..., Any]
    is_async: bool
    priority: int
    source: Any
    chunk_size: int | None = None
    repeatable: bool = True
    needs_position: bool = False


def bind_hooks(*groups: Iterable[Any]) -> tuple[BoundHook, ...]:
    """The hooks of all *groups* in the order in which they run: by priority, equal ones as given."""
    bound = [_bind(hook) for group in groups for hook in group]
    return tuple(sorted(bound, key=lambda hook: hook.priority))


def _bind(hook: Any) -> BoundHook:
    if isinstance(hook, str | tuple | dict):
        name, options = _named(hook)
        hook = get_hook(name, **options)
    if inspect.isclass(hook) and callable(getattr(hook, "execute", None)):
        hook = hook()
    if hasattr(hook, "execute"):
        return _bind_chunk_hook(hook)
    if callable(hook):
        return _bind_entry_hook(hook)
    raise OptionsError(
        f"{hook!r} is no hook. Give a function hook(entry, store), a BaseHook, or the name of an installed hook."
    )


def _named(hook: str | tuple[Any, ...] | dict[str, Any]) -> tuple[str, dict[str, Any]]:
    match hook:
        case str():
            return hook, {}
        case (str() as name, dict() as options):
            return name, options
        case dict() if len(hook) == 1:
            name, options = next(iter(hook.items()))
            return name, dict(options or {})
    raise OptionsError(f"{hook!r} names no hook. Give 'name', ('name', {{option: value}}) or {{'name': options}}.")


def _bind_chunk_hook(hook: Any) -> BoundHook:
    name = type(hook).__name__
    run = getattr(hook, "scope", "chunk") == "run"
    size = getattr(hook, "chunk_size", None)
    repeatable = getattr(hook, "repeatable", True)
    if not repeatable and size is None:
        raise HookContractError(f"{name} says repeatable = False, which needs an explicit chunk_size.", hook=name)
    call = hook.value if run else hook.execute
    return BoundHook(
        name=name,
        kind="run" if run else "chunk",
        call=call,
        is_async=_is_async(call),
        priority=int(getattr(hook, "priority", HookPriority.NORMAL)),
        source=hook,
        chunk_size=None if run else size,
        repeatable=repeatable,
        needs_position=getattr(hook, "needs_position", False),
    )


def _bind_entry_hook(hook: Callable[..., Any]) -> BoundHook:
    _check_signature(hook)
    return BoundHook(
        name=_name(hook),
        kind="entry",
        call=hook,
        is_async=_is_async(hook),
        priority=int(getattr(hook, "priority", HookPriority.NORMAL)),
        source=hook,
        needs_position=getattr(hook, "needs_position", False),
    )


def _check_signature(hook: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(hook)
    except (TypeError, ValueError):
        return  # written in C, and trusted to know
    try:
        signature.bind(None, None)
    except TypeError:
        name = _name(hook)
        raise HookContractError(
            f"A hook is called with an entry and a store; {name}{signature} cannot be. Write def {name}(entry, store).",
            hook=name,
        ) from None


def _name(hook: Any) -> str:
    while isinstance(hook, functools.partial):
        hook = hook.func
    return str(getattr(hook, "__name__", None) or type(hook).__name__)


def _is_async(function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    own = type(function).__call__ if not inspect.isroutine(function) else None
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(own)
