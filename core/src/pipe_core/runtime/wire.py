"""The border between processes: calls and answers as bytes, exceptions as data.

`run_frame` is the trampoline: a function that every Python with pipe-core can import, given bytes, giving bytes. An
executor's own pickler never sees a user's object, and an exception is never unpickled.

A call is the wire version, the length of its facts, the level below which the driver logs nothing, the facts
(msgpack; mostly none), the pickled call. An answer is the wire version, what follows, and that: the bytes of a
result, a pickled result or an error; in lower case when logs and their length come behind it.
"""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from pipe_core.kernel.contracts import Outcome
from pipe_core.kernel.errors import CodecError
from pipe_core.runtime import remote_logs, trace
from pipe_core.runtime.remote_errors import open_error, pack_error

__all__ = ["WIRE_VERSION", "dumps", "open_answer", "open_error", "pack_call", "pack_error", "run_frame"]

WIRE_VERSION: Final = 1
"""The form of calls and answers. A process refuses those of another one."""

_WAY_OUT: Final = " Make it where the call runs, or choose an executor of this process, such as 'threads'."

_VERSION: Final = bytes([WIRE_VERSION])
_BYTES: Final = b"B"
_PICKLED: Final = b"P"
_ERROR: Final = b"E"
_CALL_HEAD: Final = 4
_ANSWER_HEAD: Final = 2
_TAIL: Final = 4


def dumps(value: Any) -> bytes:
    """*value* as bytes for another process, which opens them by ``cloudpickle.loads``.

    By reference go installed distributions and the standard library. The script, files given by path and modules
    beside the script or in the working folder go by value: the other process need not have them.

    Raises:
        Exception: It cannot travel; whatever pickle or the value's own code raises.
    """
    from pipe_core.runtime import pickling  # and with it cloudpickle

    return pickling.dumps(value)


# --- calls ---


def pack_call(
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    context: contextvars.Context | None = None,
) -> bytes:
    """The call as bytes.

    Args:
        fn: What to call.
        args: Its arguments.
        kwargs: Its arguments by name.
        context: Where to look for what travels with the call (see `trace`); the current one if none is given.

    Raises:
        CodecError: The function or an argument cannot travel; says which.
    """
    from pipe_core.runtime import pickling

    head = _call_head(trace.collect(context))
    try:
        return pickling.dumps((fn, args, dict(kwargs)), head)
    except Exception as error:
        raise CodecError(_why_not(fn, args, kwargs, error)) from error


def _call_head(facts: Mapping[str, str]) -> bytes:
    level = remote_logs.threshold()
    if not facts:
        return b"%c\0\0%c" % (WIRE_VERSION, level)
    import msgpack

    packed = msgpack.packb(facts, unicode_errors="backslashreplace")
    if len(packed) > 0xFFFF:
        raise CodecError("A call is given more than 64 kB to carry beside its arguments. A traceparent is 55 letters.")
    return b"%c%b%c%b" % (WIRE_VERSION, len(packed).to_bytes(2, "big"), level, packed)


def _why_not(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], error: Exception) -> str:
    from pipe_core.runtime import pickling

    name = getattr(fn, "__qualname__", repr(fn))
    parts: list[tuple[str, Any]] = [(f"The function {name}", fn)]
    parts += [(f"Argument {i} of {name} (a {type(value).__name__})", value) for i, value in enumerate(args, 1)]
    parts += [(f"Argument '{key}' of {name} (a {type(value).__name__})", value) for key, value in kwargs.items()]
    for label, value in parts:
        try:
            pickling.dumps(value)
        except Exception as its_own:
            text = f"{label} cannot travel to another process: {its_own}"
            way_out = "" if isinstance(its_own, CodecError) else _WAY_OUT  # which has its own
            return text.rstrip(".") + "." + pickling.blame(value, its_own) + way_out
    return f"The call of {name} cannot travel to another process: {error}"


def run_frame(frame: bytes) -> bytes:
    """Run the call that *frame* holds and give its answer. Never raises: whatever happens is in the answer."""
    try:
        level, facts, call = _opened(frame)
        remote_logs.listen(level)
        answer = contextvars.copy_context().run(_answer, facts, call)
    except BaseException as error:  # also SystemExit: user code must not end a worker
        answer = _VERSION + _ERROR + pack_error(error)
    logs = remote_logs.take()
    return _with_logs(answer, logs) if logs else answer


def _opened(frame: bytes) -> tuple[int, Mapping[str, str], memoryview]:
    """The log level, the facts and the pickled call of a frame."""
    view = memoryview(frame)
    _check_version("call", view)
    start = _CALL_HEAD + (view[1] << 8 | view[2] if len(view) >= _CALL_HEAD else 0)
    if len(view) <= start:
        raise CodecError(f"A call came in as {len(view)} bytes, and {start} are not even its head: it was cut off.")
    if start == _CALL_HEAD:
        return view[3], {}, view[start:]
    import msgpack

    try:
        facts = msgpack.unpackb(view[_CALL_HEAD:start])
    except Exception as error:
        raise CodecError(f"The head of a call is damaged: {error}") from error
    if not isinstance(facts, dict):
        raise CodecError("The head of a call is damaged: no names and values.")
    return view[3], facts, view[start:]


def _check_version(what: str, data: memoryview) -> None:
    if not len(data):
        raise CodecError(f"The bytes of a {what} are empty.")
    if data[0] != WIRE_VERSION:
        raise CodecError(
            f"The bytes of a {what} have wire version {data[0]}, and this process speaks version {WIRE_VERSION}. "
            "Driver and workers need the same version of pipe-core; or the bytes are something else."
        )


def _answer(facts: Mapping[str, str], call: memoryview) -> bytes:
    trace.restore(facts)
    fn, args, kwargs = _loaded(call)
    return _called(fn, args, kwargs)


def answered(fn: Callable[..., Any], args: tuple[Any, ...]) -> bytes:
    """The answer of one call among many of a frame, for `open_answer`. Never raises: it is of this call only."""
    try:
        return _called(fn, args, {})
    except BaseException as error:  # also SystemExit
        return _VERSION + _ERROR + pack_error(error)


def _called(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
    value = fn(*args, **kwargs)
    if inspect.iscoroutine(value):
        from pipe_core.runtime import call_loop  # and with it asyncio, which most calls never need

        value = call_loop.run(value)
    if type(value) is bytes:
        return _VERSION + _BYTES + value
    from pipe_core.runtime import pickling

    try:
        return pickling.dumps(value, _VERSION + _PICKLED, back=True)
    except Exception as error:
        name = getattr(fn, "__qualname__", repr(fn))
        text = f"The result of {name} (a {type(value).__name__}) cannot travel back: {error}".rstrip(".")
        raise CodecError(f"{text}. Return what can be pickled, such as numbers, text, lists and dicts.") from error


def _loaded(call: memoryview) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    import cloudpickle

    try:
        fn, args, kwargs = cloudpickle.loads(call)
    except Exception as error:
        text = f"A call came in that cannot be opened here: {type(error).__name__}: {error}."
        if isinstance(error, ModuleNotFoundError):
            text += " Install it where the workers run, or keep it in the folder of the script."
        raise CodecError(text) from error
    return fn, args, kwargs


# --- answers ---


def _with_logs(answer: bytes, logs: bytes) -> bytes:
    return b"".join((_VERSION, answer[1:2].lower(), answer[2:], logs, len(logs).to_bytes(_TAIL, "big")))


def open_answer(answer: bytes) -> Outcome:
    """The outcome that an answer of `run_frame` stands for. Never raises: somebody waits for the outcome.

    What the worker logged goes to the loggers of this process first.
    """
    try:
        kind, body = _opened_answer(memoryview(answer))
        if kind == _BYTES:
            return Outcome(bytes(body))
        if kind == _ERROR:
            return Outcome(error=open_error(bytes(body)))
        import cloudpickle

        return Outcome(cloudpickle.loads(body))
    except CodecError as error:
        return Outcome(error=error)
    except BaseException as error:  # making a value again runs the user's code
        failed = CodecError(f"A result came back that cannot be opened here: {type(error).__name__}: {error}")
        failed.__cause__ = error
        return Outcome(error=failed)


def _opened_answer(view: memoryview) -> tuple[bytes, memoryview]:
    """What follows, and that. Hands on the logs behind it."""
    _check_version("result", view)
    kind, body = bytes(view[1:_ANSWER_HEAD]), view[_ANSWER_HEAD:]
    if kind.islower():
        kind = kind.upper()
        size = int.from_bytes(body[-_TAIL:], "big")
        if size + _TAIL > len(body):
            raise CodecError("The logs behind a result are cut off.")
        remote_logs.hand_on(bytes(body[-_TAIL - size : -_TAIL]))
        body = body[: -_TAIL - size]
    if kind not in (_BYTES, _PICKLED, _ERROR):
        raise CodecError(f"A result of the unknown kind {kind!r} came back: the bytes are damaged.")
    return kind, body
