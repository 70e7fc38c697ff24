"""The border between processes: calls and answers as bytes, exceptions as data.

`run_frame` is the trampoline: a function that every Python with pipe-core can import, given bytes, giving bytes. An
executor's own pickler never sees a user's object, and an exception is never unpickled.
"""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from pipe_core.kernel.contracts import Outcome
from pipe_core.kernel.errors import CodecError, RemoteError

_BYTES: Final = b"B"
_PICKLED: Final = b"P"
_ERROR: Final = b"E"
_PLAIN: Final = (str, int, float, bool, bytes, type(None))


def pack_call(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
    """The call as bytes.

    Raises:
        CodecError: The function or an argument cannot travel; says which.
    """
    import cloudpickle

    try:
        return cast(bytes, cloudpickle.dumps((fn, args, dict(kwargs))))
    except Exception as error:
        raise CodecError(f"{_culprit(fn, args, kwargs)} cannot travel to another process: {error}") from error


def _culprit(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    import cloudpickle

    name = getattr(fn, "__qualname__", repr(fn))
    parts = [("The function", fn), *((f"Argument {i}", value) for i, value in enumerate(args, 1))]
    parts += [(f"Argument '{key}'", value) for key, value in kwargs.items()]
    for label, value in parts:
        try:
            cloudpickle.dumps(value)
        except Exception:
            return f"{label} {name}" if value is fn else f"{label} of {name} (a {type(value).__name__})"
    return f"The call of {name}"


def run_frame(frame: bytes) -> bytes:
    """Run the call that *frame* holds and give its answer. Never raises: whatever happens is in the answer."""
    import cloudpickle

    try:
        fn, args, kwargs = cloudpickle.loads(frame)
        value = fn(*args, **kwargs)
        if inspect.iscoroutine(value):
            import asyncio

            value = asyncio.run(value)
        if type(value) is bytes:
            return _BYTES + value
        return _PICKLED + _pack_result(fn, value)
    except BaseException as error:  # also SystemExit: user code must not end a worker
        return _ERROR + pack_error(error)


def _pack_result(fn: Callable[..., Any], value: Any) -> bytes:
    import cloudpickle

    try:
        return cast(bytes, cloudpickle.dumps(value))
    except Exception as error:
        name = getattr(fn, "__qualname__", repr(fn))
        raise CodecError(f"The result of {name} (a {type(value).__name__}) cannot travel back: {error}") from error


def open_answer(answer: bytes) -> Outcome:
    """The outcome that an answer of `run_frame` stands for. Never raises: somebody waits for the outcome."""
    import cloudpickle

    kind, rest = answer[:1], answer[1:]
    if kind == _BYTES:
        return Outcome(rest)
    try:
        return Outcome(error=open_error(rest)) if kind == _ERROR else Outcome(cloudpickle.loads(rest))
    except BaseException as error:  # making a value again runs the user's code
        failed = CodecError(f"A result came back that cannot be opened here: {type(error).__name__}: {error}")
        failed.__cause__ = error
        return Outcome(error=failed)


def pack_error(error: BaseException) -> bytes:
    """*error* as data: its class by name, its arguments where they are plain, its traceback as text."""
    import msgpack

    kind = type(error)
    args = _arguments(error)
    plain = all(type(value) in _PLAIN for value in args)
    facts = {
        "module": kind.__module__,
        "name": kind.__qualname__,
        "args": [_safe(value) for value in args] if plain else None,
        "message": _text(error),
        "traceback": "".join(traceback.format_exception(error)),
    }
    return cast(bytes, msgpack.packb(facts, unicode_errors="backslashreplace"))


def _arguments(error: BaseException) -> tuple[Any, ...]:
    """What its class takes to make it again. Some say it only there: `OSError` with its file names, for example."""
    try:
        made = error.__reduce__()
    except Exception:
        return error.args
    own = isinstance(made, tuple) and made[0] is type(error)
    return cast("tuple[Any, ...]", made[1]) if own else error.args


def _safe(value: Any) -> Any:
    big = type(value) is int and not -(2**63) <= value < 2**64
    return str(value) if big else value


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__name__} whose text cannot be made>"


def open_error(data: bytes) -> BaseException:
    """The exception again: of its own class where that can be imported and rebuilt, else a `RemoteError`."""
    import msgpack

    facts = msgpack.unpackb(data)
    error = _rebuilt(facts)
    if error is None:
        name = f"{facts['module']}.{facts['name']}"
        error = RemoteError(f"{name}: {facts['message']}", type_name=name, remote_traceback=facts["traceback"])
    error.add_note(f"Traceback of the worker:\n{facts['traceback']}")
    return error


def _rebuilt(facts: Mapping[str, Any]) -> BaseException | None:
    if facts["args"] is None or facts["module"] == "__main__":
        return None
    try:
        found: Any = importlib.import_module(facts["module"])
        for part in facts["name"].split("."):
            found = getattr(found, part)
        if not (isinstance(found, type) and issubclass(found, BaseException)):
            return None
        error = found(*facts["args"])
        return error if str(error) == facts["message"] else None
    except Exception:
        return None  # any class may refuse its arguments; the caller makes a RemoteError
