"""What functions, classes and code come to: not where they stand, but what they do and what they keep."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

Parts = Iterator[tuple[str, Any]]
"""What something consists of: each part in words, and a value to be signed."""

_CONSTANTS: Final = (type(None), bool, int, float, complex, str, bytes, tuple, frozenset)


class Signs(Protocol):
    """Writes values one after the other; see `Signer`."""

    helpers: str | None

    def write(self, value: Any) -> None:
        """Add a value."""

    def tag(self, tag: str, *values: Any) -> None:
        """Add what something is, and what it consists of."""


def module_of(fn: Any) -> str:
    """The module whose functions count as helpers of *fn*."""
    name: str = fn.func.__module__ if type(fn) is functools.partial else fn.__module__
    return name


def parts_of(fn: Any, module: str | None = None) -> Parts:
    """What *fn* consists of. What it uses of *module* is part of it, where one is given."""
    if isinstance(fn, types.FunctionType):
        yield from _function_parts(fn, module)
    elif isinstance(fn, types.MethodType):
        yield from parts_of(fn.__func__, module)
        yield "the object", fn.__self__
    elif type(fn) is functools.partial:
        yield from parts_of(fn.func, module)
        yield "the arguments given before", (fn.args, fn.keywords)
    elif isinstance(fn, type):
        yield "the qualified name", f"{fn.__module__}.{fn.__qualname__}"
        yield "the code", tuple(_class_parts(fn))
    elif isinstance(call := getattr(type(fn), "__call__", None), types.FunctionType):  # noqa: B004  # not whether, but how
        yield from _function_parts(call, module)
        yield "the object", fn
        if module is not None and type(fn).__module__ == module:
            yield "the class", type(fn)
    else:
        yield "the code", fn


def _function_parts(fn: types.FunctionType, module: str | None) -> Parts:
    code = fn.__code__
    yield "the qualified name", f"{fn.__module__}.{fn.__qualname__}"
    yield "the Python version", importlib.util.MAGIC_NUMBER
    yield "the code", code
    names = code.co_varnames[: code.co_argcount]
    defaults = fn.__defaults__ or ()
    for name, value in zip(names[len(names) - len(defaults) :], defaults, strict=True):
        yield f"the default of '{name}'", _lone(value)
    for name, value in (fn.__kwdefaults__ or {}).items():
        yield f"the default of '{name}'", _lone(value)
    for name, cell in zip(code.co_freevars, fn.__closure__ or (), strict=True):
        try:
            yield f"the outer variable '{name}'", _lone(cell.cell_contents)
        except ValueError:  # nothing has been assigned to it yet
            yield f"the outer variable '{name}'", ("nothing",)
    if module is not None:
        yield from _helpers(fn, module)


def _lone(value: Any) -> Any:
    """A bare ``object()`` in code stands for what has no value; its place in the code is what tells it apart."""
    return ("a bare object",) if type(value) is object else value


def _helpers(fn: types.FunctionType, module: str) -> Parts:
    space = fn.__globals__
    for name in sorted(_names(fn.__code__)):
        value = space.get(name, fn)
        if value is fn or inspect.ismodule(value):
            continue
        if isinstance(value, _CONSTANTS) and type(value) in _CONSTANTS:
            yield f"the constant '{name}'", value
        elif callable(value) and getattr(value, "__module__", None) == module:
            yield f"the helper '{name}'", value


def _names(code: types.CodeType) -> set[str]:
    """Those that it may look up in its module, and those that the functions inside of it may."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def write_class(signer: Signs, kind: type) -> None:
    """A class is its name. One that is made in a function, or counts as a helper, is its own methods and values too."""
    is_local = "<locals>" in kind.__qualname__
    signer.tag("class", kind.__module__, kind.__qualname__)
    if is_local or (signer.helpers is not None and kind.__module__ == signer.helpers):
        signer.write(tuple(_class_parts(kind)))


def _class_parts(kind: type) -> Parts:
    yield "the bases", tuple(f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__[1:])
    for name, value in sorted(vars(kind).items()):
        if isinstance(value, types.FunctionType):
            yield name, value.__code__
            yield f"the defaults of {name}", tuple(_constants(value.__defaults__ or ()))
        elif isinstance(value, staticmethod | classmethod):
            if isinstance(value.__func__, types.FunctionType):
                yield name, value.__func__.__code__
        elif isinstance(value, property):
            yield name, tuple(one.__code__ for one in (value.fget, value.fset) if isinstance(one, types.FunctionType))
        elif type(value) in _CONSTANTS and not name.startswith("__"):
            yield name, value


def _constants(values: tuple[Any, ...]) -> Iterator[Any]:
    return (value if type(value) in _CONSTANTS else type(value).__qualname__ for value in values)


# --- by type ---


def _write_code(signer: Signs, code: types.CodeType) -> None:
    """All that decides what it does: neither its file nor its lines."""
    signer.tag(
        "code",
        code.co_code,
        code.co_exceptiontable,
        code.co_consts,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags,
        code.co_name,
    )


def _write_builtin(signer: Signs, fn: types.BuiltinFunctionType) -> None:
    if fn.__self__ is None or isinstance(fn.__self__, types.ModuleType):
        signer.tag("builtin", fn.__module__, fn.__qualname__)
    else:
        signer.tag("builtin of", fn.__self__, fn.__qualname__)


def _write_method(signer: Signs, method: types.MethodType) -> None:
    signer.tag("method", method.__func__, method.__self__)


def _write_descriptor(signer: Signs, descriptor: Any) -> None:
    signer.tag("descriptor", descriptor.__objclass__, descriptor.__name__)


def _write_module(signer: Signs, module: types.ModuleType) -> None:
    signer.tag("module", module.__name__)


def _write_remembering(signer: Signs, fn: Any) -> None:
    signer.tag("remembering", fn.__wrapped__)


WRITERS: Final[Mapping[type, Callable[[Any, Any], None]]] = {
    types.CodeType: _write_code,
    types.BuiltinFunctionType: _write_builtin,
    types.MethodType: _write_method,
    types.MethodDescriptorType: _write_descriptor,
    types.WrapperDescriptorType: _write_descriptor,
    types.ModuleType: _write_module,
    functools._lru_cache_wrapper: _write_remembering,
}
"""How objects of these types are written."""
