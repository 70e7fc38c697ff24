"""Exceptions as data: what a worker raised is told to the driver, never unpickled there."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, cast

from pipe_core.kernel.errors import PipeError, RemoteError, rebuild

_SCALARS: Final = frozenset((str, float, bool, bytes, type(None)))
_DEEPEST: Final = 30
_TUPLE: Final = 1
_INTEGER: Final = 2


# --- in the worker ---


def pack_error(error: BaseException) -> bytes:
    """*error* as data: its class by name, its arguments where they are plain, its traceback as text. Never raises."""
    try:
        shown = traceback.format_exception(type(error), error, _of_the_call(error.__traceback__))
        return _packed(_facts(error) | {"traceback": "".join(shown)})
    except BaseException as second:  # the error's own code, or too deep for what is left of the stack
        kind = type(error)
        text = f"{_name(kind)[1]} (its traceback cannot be shown: {type(second).__name__})\n"
        return _packed({"kind": _name(kind), "message": _text(error), "traceback": text})


def _of_the_call(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first line on that is not about how the call got there."""
    found = trace
    while found is not None and str(found.tb_frame.f_globals.get("__name__")).startswith("pipe_core.runtime."):
        found = found.tb_next
    return found or trace


def _facts(error: BaseException) -> dict[str, Any]:
    kind = type(error)
    facts: dict[str, Any] = {"kind": _name(kind), "message": _text(error)}
    if isinstance(error, BaseExceptionGroup):
        facts["group"] = [BaseExceptionGroup.message.__get__(error), list(map(_facts, error.exceptions))]
        return facts
    args = error.args if isinstance(error, PipeError) else _arguments(error)
    if _is_plain(args):
        state = vars(error)
        plain = {key: value for key, value in state.items() if type(key) is str and _is_plain(value)}
        lost = [key for key in state if key not in plain]
        facts |= {"args": args, "state": plain, "lost": [key for key in lost if type(key) is str]}
    return facts


def _packed(facts: Mapping[str, Any]) -> bytes:
    import msgpack

    packed = msgpack.packb(facts, strict_types=True, default=_extended, unicode_errors="surrogatepass")
    return cast(bytes, packed)


def _extended(value: Any) -> Any:
    import msgpack

    if type(value) is tuple:
        return msgpack.ExtType(_TUPLE, _packed(list(value)))  # type: ignore[arg-type]  # any plain value will do
    if type(value) is int:
        return msgpack.ExtType(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    raise TypeError(f"a {type(value).__name__} is not plain")


def _name(kind: type) -> tuple[str, str]:
    """Module and name of a class, whatever it says of itself."""
    module = type.__getattribute__(kind, "__module__")
    return (module if type(module) is str else "?"), type.__dict__["__qualname__"].__get__(kind)


def _arguments(error: BaseException) -> tuple[Any, ...]:
    """What its class takes to make it again. Some say it only there: `OSError` with its file names, for example."""
    try:
        made = error.__reduce__()
    except BaseException:  # the user's code
        return error.args
    own = type(made) is tuple and len(made) > 1 and made[0] is type(error) and type(made[1]) is tuple
    return cast("tuple[Any, ...]", made[1]) if own else error.args


def _is_plain(value: Any, depth: int = 0) -> bool:
    kind = type(value)
    if kind in _SCALARS or kind is int:
        return True
    if depth == _DEEPEST:
        return False
    if kind is list or kind is tuple:
        return all(_is_plain(one, depth + 1) for one in value)
    if kind is dict:
        return all(type(key) is str and _is_plain(one, depth + 1) for key, one in value.items())
    return False


def _text(error: BaseException) -> str:
    try:
        return str.__str__(str(error))
    except BaseException:  # the user's code
        return f"<{_name(type(error))[1].rpartition('.')[2]} whose text cannot be made>"


# --- on the driver ---


def open_error(data: bytes) -> BaseException:
    """The exception again: of its own class where that can be imported and rebuilt, else a `RemoteError`.

    The members of a group are rebuilt in the same way. The traceback of the worker is a note.
    """
    import msgpack

    facts = msgpack.unpackb(data, ext_hook=_restored, unicode_errors="surrogatepass")
    text = facts["traceback"]
    error = _opened(facts, text)
    return error if _noted(error, text) else _noted_remote(facts, text)


def _restored(code: int, data: bytes) -> Any:
    import msgpack

    if code == _TUPLE:
        return tuple(msgpack.unpackb(data, ext_hook=_restored, unicode_errors="surrogatepass"))
    if code == _INTEGER:
        return int.from_bytes(data, "big", signed=True)
    raise ValueError(f"an error with a value of the unknown kind {code}")


def _opened(facts: Mapping[str, Any], text: str = "") -> BaseException:
    return _rebuilt(facts) or _remote(facts, text)


def _remote(facts: Mapping[str, Any], text: str) -> RemoteError:
    module, name = facts["kind"]
    full = f"{module}.{name}"
    return RemoteError(f"{full}: {facts['message']}", type_name=full, remote_traceback=text)


def _noted(error: BaseException, text: str) -> bool:
    """Add the traceback as a note. False if the class does not let itself be written on."""
    try:
        BaseException.add_note(error, f"Traceback of the worker:\n{text}")
    except Exception:  # a frozen class, or notes that are no list
        return False
    return True


def _noted_remote(facts: Mapping[str, Any], text: str) -> RemoteError:
    error = _remote(facts, text)
    error.add_note(f"Traceback of the worker:\n{text}")
    return error


def _rebuilt(facts: Mapping[str, Any]) -> BaseException | None:
    if not ("args" in facts or "group" in facts):
        return None
    try:
        kind = _class(*facts["kind"])
        error = _made(kind, facts) if kind is not None else None
        return error if type(error) is kind and str(error) == facts["message"] else None
    except BaseException:  # any class may refuse its arguments, even by SystemExit; the caller makes a RemoteError
        return None


def _made(kind: type[BaseException], facts: Mapping[str, Any]) -> BaseException:
    if "group" in facts:
        message, members = facts["group"]
        return kind(message, list(map(_opened, members)))
    if issubclass(kind, PipeError):
        return rebuild(kind, facts["args"], dict.fromkeys(facts["lost"]) | facts["state"])
    error = kind(*facts["args"])
    vars(error).update(facts["state"])
    return error


def _class(module: str, name: str) -> type[BaseException] | None:
    if module in ("__main__", "__mp_main__"):
        found: Any = sys.modules["__main__"]
    else:
        found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None
