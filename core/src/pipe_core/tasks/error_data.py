"""Exceptions as plain data and back. Nothing that data names is imported, and no constructor of a user's is called."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final, cast

from pipe_core.kernel.errors import CodecError, RemoteError

_DEEPEST: Final = 30
_SCALARS: Final = frozenset((str, int, float, bool, type(None)))


def error_to_dict(error: BaseException, depth: int = 0) -> dict[str, Any]:
    """*error* as data that JSON knows: its class by name, its message, its arguments and attributes where plain."""
    kind = type(error)
    data: dict[str, Any] = {"type": f"{kind.__module__}.{kind.__qualname__}", "message": _text(error)}
    if isinstance(error, RemoteError):  # of a class that is known by name only, here too
        data["type"] = error.type_name
    elif isinstance(error, BaseExceptionGroup) and depth < _DEEPEST:
        data["text"] = error.message
        data["exceptions"] = [error_to_dict(one, depth + 1) for one in error.exceptions]
    elif _is_plain(args := list(_arguments(error))):
        data["args"] = args
        data["attributes"] = {key: value if _is_plain(value) else None for key, value in vars(error).items()}
    return data


def _arguments(error: BaseException) -> tuple[Any, ...]:
    # An OSError keeps its file names elsewhere; only what pickle would call it with has them.
    if type(error).__module__ != "builtins" or not isinstance(error, OSError):
        return error.args
    return cast("tuple[Any, ...]", OSError.__reduce__(error)[1])


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # the user's code
        return f"<{type(error).__name__} whose text cannot be made>"


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Whether JSON gives back an equal value of the same type."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if depth == _DEEPEST:
        return False
    if kind is list:
        return all(_is_plain(one, depth + 1) for one in value)
    return kind is dict and all(type(key) is str and _is_plain(one, depth + 1) for key, one in value.items())


def error_from_dict(data: Any, depth: int = 0) -> BaseException:
    """The exception of `error_to_dict` again: of its own class if that is loaded here and fits, else a `RemoteError`.

    Raises:
        CodecError: The data is not of that shape.
    """
    if depth > _DEEPEST or not isinstance(data, Mapping):
        raise CodecError("An error as data is a mapping, and groups in it are not deep.", path="execution.error")
    name, message = data.get("type"), data.get("message")
    if not (isinstance(name, str) and isinstance(message, str)):
        raise CodecError("An error as data has a 'type' and a 'message', both text.", path="execution.error")
    kind = _loaded(name)
    error = _rebuilt(kind, data, depth) if kind is not None else None
    if error is not None:
        return error
    return RemoteError(message if message.startswith(f"{name}: ") else f"{name}: {message}", type_name=name)


def _rebuilt(kind: type[BaseException], data: Mapping[str, Any], depth: int) -> BaseException | None:
    try:
        error = _made(kind, data, depth)
        return error if type(error) is kind and str(error) == data["message"] else None
    except CodecError:  # of a member of a group
        raise
    except Exception:  # what is there does not fit the class
        return None


def _made(kind: type[BaseException], data: Mapping[str, Any], depth: int) -> BaseException:
    base: Any = next(one for one in kind.__mro__ if one.__module__ == "builtins")
    if "exceptions" in data:
        members = [error_from_dict(one, depth + 1) for one in data["exceptions"]]
        return cast(BaseException, base.__new__(kind, data["text"], members))
    args = tuple(data["args"])
    error: BaseException
    if kind is base:
        error = kind(*args)
    else:
        error = base.__new__(kind, *args)
        error.args = args
    vars(error).update(data.get("attributes", {}))
    return error


def _loaded(name: str) -> type[BaseException] | None:
    """The class of exceptions with that full name, if the module that defines it is imported already."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:end]))
        if type(found) is not ModuleType:  # modules of other types may load something when they are looked at
            continue
        for part in parts[end:]:
            found = vars(found).get(part) if isinstance(found, type | ModuleType) else None
        if isinstance(found, type) and issubclass(found, BaseException):
            return found if f"{found.__module__}.{found.__qualname__}" == name else None
    return None
