"""Stand-ins: what goes into the bytes for modules, classes and models, and what becomes of it on the other side.

Bytes name the functions here. What pickle would only name, though the name means nothing elsewhere, is here too.
"""

from __future__ import annotations

import functools
import sys
import typing
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from cloudpickle import cloudpickle as _cloudpickle

# --- functions and modules: on the other side they share one namespace, as here ---

_NAMING: Final = ("__name__", "__package__", "__path__", "__file__")


class Home:
    """Stands for a module in the bytes, and is made an empty one of."""

    def __init__(self, module: ModuleType) -> None:
        self._facts = {name: vars(module)[name] for name in _NAMING if name in vars(module)}

    def __reduce__(self) -> tuple[Any, ...]:
        facts = {key: list(value) if key == "__path__" else value for key, value in self._facts.items()}
        return _make_module, (facts,)


class Namespace:
    """Stands for the globals of a module in the bytes."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def __reduce__(self) -> tuple[Any, ...]:
        return vars, (self._home,)


class Missing:
    """The ``__getattr__`` of a module that came without some of its attributes."""

    def __init__(self, module: str, reasons: dict[str, str], own: Callable[[str], Any] | None) -> None:
        self._module = module
        self._reasons = reasons
        self._own = own

    def __call__(self, name: str) -> Any:
        """The attribute of that name as the module's own ``__getattr__`` gives it, or the reason why it is not here."""
        if name in self._reasons:
            raise AttributeError(f"{self._module}.{name} cannot travel to another process: {self._reasons[name]}")
        if self._own is not None:
            return self._own(name)
        raise AttributeError(f"module '{self._module}' has no attribute '{name}'")


def _make_module(facts: dict[str, Any]) -> ModuleType:
    module = ModuleType(facts["__name__"])
    vars(module).update(facts)
    return module


def same(module: ModuleType) -> ModuleType:
    """The module that its `Home` was made into."""
    return module


def fill_module(module: ModuleType, state: dict[str, Any]) -> None:
    """Give a module what it holds."""
    vars(module).update(state)


# --- classes ---

_own: weakref.WeakSet[type] = weakref.WeakSet()
_received: weakref.WeakSet[type] = weakref.WeakSet()


def note_sent(cls: type) -> None:
    """*cls* travels from here: it is this process's own, unless it was received."""
    if cls not in _received:
        _own.add(cls)


def fill_class(cls: type, state: Any) -> None:
    """Give a class its attributes, unless it is this process's own that comes home: the original stays as it is."""
    if cls not in _own:
        _received.add(cls)
        _cloudpickle._class_setstate(cls, state)


# Validators and serializers are built from a schema as soon as they are read. A schema names classes whose validators
# may be made of parts of that same schema, which is still half empty then. So all of them come behind everything else.

BUILT: Final = ("__pydantic_validator__", "__pydantic_serializer__", "__pydantic_complete__")
Model = tuple[type, dict[str, Any]]
"""A class of pydantic, and those of its attributes that are in `BUILT`."""


class Whole:
    """A value and, behind it, what its models validate with. *models* fills while the value is pickled."""

    def __init__(self, value: Any, models: list[Model]) -> None:
        self._value = value
        self._models = models

    def __reduce__(self) -> tuple[Any, ...]:
        return _first, (self._value, _Rest(self._models))


class _Rest:
    """The models that were met until this is pickled, and then those that were met while they were."""

    def __init__(self, models: list[Model]) -> None:
        self._models = models

    def __reduce__(self) -> tuple[Any, ...]:
        met = self._models[::-1]
        self._models.clear()
        return (_build, (met, _Rest(self._models))) if met else (bool, ())


def _first(value: Any, _: object) -> Any:
    return value


def _build(models: list[Model], _: object) -> None:
    for cls, attributes in models:
        if cls not in _own:
            for name, value in attributes.items():
                setattr(cls, name, value)


# --- what pickle would name, though the name means nothing elsewhere ---


def is_reachable(obj: Any) -> bool:
    """Whether the name of *obj* leads to it."""
    found: Any = sys.modules.get(obj.__module__)
    for part in getattr(obj, "__qualname__", obj.__name__).split("."):
        found = getattr(found, part, None)
    return found is obj


def _reduce_cached(fn: Any) -> tuple[Any, ...]:
    parameters = fn.cache_parameters()
    return _make_cached, (fn.__wrapped__, parameters["maxsize"], parameters["typed"])


def _make_cached(fn: Callable[..., Any], maxsize: int | None, typed: bool) -> Any:
    return functools.lru_cache(maxsize, typed)(fn)


def _reduce_new_type(kind: Any) -> tuple[Any, ...]:
    return _make_new_type, (kind.__qualname__, kind.__module__, kind.__supertype__)


def _make_new_type(name: str, module: str, supertype: Any) -> Any:
    kind = typing.NewType(name, supertype)  # type: ignore[misc]  # a name that only a run knows
    kind.__module__ = module
    return kind


def _reduce_type_variable(variable: Any) -> tuple[Any, ...]:
    return _cloudpickle._make_typevar, _cloudpickle._decompose_typevar(variable)


REDUCERS: Final[dict[type, Callable[[Any], tuple[Any, ...]]]] = {
    type(functools.lru_cache(same)): _reduce_cached,
    typing.NewType: _reduce_new_type,
    typing.TypeVar: _reduce_type_variable,
}
"""By type: what pickle is told of an object that its name does not stand for."""
