"""Values as bytes for another process: cloudpickle, and the code of modules that are only here travels with them.

Imported only when something travels: cloudpickle takes a while to import.
"""

from __future__ import annotations

import dataclasses
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from operator import getitem
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

import cloudpickle
from cloudpickle import cloudpickle as _cloudpickle

from pipe_core.kernel.errors import CodecError
from pipe_core.runtime.stand_ins import (
    BUILT,
    REDUCERS,
    Home,
    Missing,
    Model,
    Namespace,
    Whole,
    fill_class,
    fill_module,
    is_reachable,
    note_sent,
    same,
)
from pipe_core.runtime.travel import goes_by_value, is_private

_LEFT_OUT: Final = frozenset(("__builtins__", "__cached__", "__loader__", "__spec__"))
_MOST_OWNERS: Final = 100


def dumps(value: Any, prefix: bytes = b"", *, back: bool = False) -> bytes:
    """*value* as bytes behind *prefix*.

    Args:
        value: What travels.
        prefix: What the bytes begin with.
        back: It goes to the process that sent the call. Modules that this process could import, that one can import
            too, and there they are the same objects as before.

    Raises:
        Exception: Whatever the value's own code raises, or pickle on meeting what cannot travel.
    """
    by_value = is_private if back else goes_by_value
    sparing = modelling = False
    while True:
        pickler = _Pickler(by_value, sparing=sparing, modelling=modelling)
        try:
            return pickler.bytes(value, prefix)
        except _ModelMet:
            modelling = True
        except Exception:
            if sparing or not pickler.met_modules:
                raise
            sparing = True


class _ModelMet(Exception):
    """What is pickled holds a class of pydantic, which needs an order of its own. Most values do not."""


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Decides by module what travels by value, without touching the registry that belongs to the user.

    Args:
        by_value: Whether the module of that name travels by value.
        sparing: Leave out of whole modules what cannot travel and what no function on the way names.
        modelling: Write what models validate with behind everything else.
        trying: Modules stand for themselves: what they hold is tried out on its own.
    """

    def __init__(
        self,
        by_value: Callable[[object], bool],
        *,
        sparing: bool = False,
        modelling: bool = False,
        trying: bool = False,
    ) -> None:
        self._file = io.BytesIO()
        super().__init__(self._file)
        self.by_value = by_value
        self.met_modules = False
        self._models: list[Model] = []
        self._sparing = sparing
        self._modelling = modelling
        self._trying = trying
        self._homes: dict[int, Home] = {}
        self._names: set[str] = set()

    def bytes(self, value: Any, prefix: bytes = b"") -> bytes:
        self._file.write(prefix)
        self.dump(Whole(value, self._models) if self._modelling else value)
        return self._file.getvalue()

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if obj is dataclasses.MISSING:
            return "MISSING"  # by its name: there is only one, and dataclasses ask whether it is that one
        if kind is FunctionType:
            return self._function(obj)
        if issubclass(kind, type):
            return self._class(obj)
        if kind is ModuleType:
            return self._module(obj)
        reducer = REDUCERS.get(kind)
        if reducer is not None and (self.by_value(obj.__module__) or not is_reachable(obj)):
            return reducer(obj)
        return NotImplemented

    def _function(self, fn: FunctionType) -> Any:
        if not self.by_value(fn.__module__):
            return self._function_reduce(fn)
        if self._sparing:
            self._names |= _names(fn.__code__)
        module = sys.modules.get(fn.__module__)
        if module is not None and fn.__module__ != "__main__" and fn.__globals__ is vars(module):
            self.globals_ref.setdefault(id(fn.__globals__), Namespace(self._home(module)))
        return self._dynamic_function_reduce(fn)

    def _class(self, cls: type) -> Any:
        generic = vars(cls).get("__pydantic_generic_metadata__")
        if generic and generic["origin"] is not None and not self.by_value(cls.__module__):
            return getitem, (generic["origin"], generic["args"])  # not every pydantic lets its module have the class
        reduced = self._class_reduced(cls)
        if type(reduced) is not tuple or len(reduced) != 6:
            return reduced
        if not vars(cls).get("__pydantic_complete__", True):
            _complete(cls)
            reduced = self._class_reduced(cls)
        note_sent(cls)
        if "__pydantic_validator__" in vars(cls):
            if not self._modelling:
                raise _ModelMet
            reduced = (*reduced[:2], self._without_validators(cls, reduced[2]), None, None)
        return (*reduced[:5], fill_class)

    def _without_validators(self, cls: type, state: Any) -> Any:
        attributes = {name: value for name, value in state[0].items() if name not in BUILT}
        self._models.append((cls, {name: state[0][name] for name in BUILT if name in state[0]}))
        return attributes, state[1]

    def _class_reduced(self, cls: type) -> Any:
        by_value = self.by_value(cls.__module__)
        return _cloudpickle._dynamic_class_reduce(cls) if by_value else _cloudpickle._class_reduce(cls)

    def _module(self, module: ModuleType) -> Any:
        name = module.__name__
        if name == "__main__" or not self.by_value(name) or sys.modules.get(name) is not module:
            return NotImplemented
        self.met_modules = True
        if self._trying:
            return same, (self._home(module),)
        state = {name: value for name, value in vars(module).items() if name not in _LEFT_OUT}
        if self._sparing:
            state = self._spared(name, state)
        return same, (self._home(module),), state, None, None, fill_module

    def _spared(self, module: str, state: Mapping[str, Any]) -> dict[str, Any]:
        kept, missing = {}, {}
        for name, value in state.items():
            try:
                _Pickler(self.by_value, modelling=True, trying=True).dump(value)
                kept[name] = value
            except Exception as error:
                if name in self._names:
                    text = f"{module}.{name} ({_article(value)}) is used and cannot travel: {error}."
                    raise CodecError(text + blame(value, error)) from error
                missing[name] = f"{type(error).__name__}: {error}"
        if missing:
            kept["__getattr__"] = Missing(module, missing, kept.get("__getattr__"))
        return kept

    def _home(self, module: ModuleType) -> Home:
        key = id(vars(module))
        if key not in self._homes:
            self._homes[key] = Home(module)
        return self._homes[key]


def _complete(cls: type) -> None:
    """Build a model or a dataclass of pydantic that would be built at its first use, which is too late elsewhere."""
    if hasattr(cls, "model_rebuild"):
        cls.model_rebuild(raise_errors=False)
    else:
        from pydantic.dataclasses import rebuild_dataclass

        rebuild_dataclass(cls, raise_errors=False)


def _names(code: CodeType) -> set[str]:
    """Every name that the code uses as a global or an attribute, nested functions included."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _names(constant)
    return found


# --- who is to blame ---


def blame(value: Any, error: Exception) -> str:
    """A sentence that names what in *value* cannot travel; empty when nothing can be said beside *error*."""
    if isinstance(error, CodecError):
        return ""
    met: list[Any] = []

    class Tracing(_Pickler):
        def reducer_override(self, obj: Any) -> Any:
            reduced = super().reducer_override(obj)
            if type(obj) is Whole:  # ours, around the value
                return reduced
            if reduced is not NotImplemented or not isinstance(obj, FunctionType | ModuleType | type):
                met.append(obj)
            return reduced

    try:
        Tracing(goes_by_value, modelling=True).bytes(value)
    except Exception:
        for owner in reversed(met[-_MOST_OWNERS:]):
            for label, part in _parts(owner):
                if not _travels(part):
                    return f" {label} is what cannot: {_article(part)}."
    return ""


def _travels(value: Any) -> bool:
    try:
        dumps(value)
    except Exception:
        return False
    return True


def _parts(owner: Any) -> Iterator[tuple[str, Any]]:
    """What *owner* holds, with words for it."""
    if isinstance(owner, FunctionType):
        names, space = _names(owner.__code__), owner.__globals__
        for name in sorted(names & space.keys()):
            yield f"The global '{name}' of {space.get('__name__')}, which {owner.__qualname__} uses,", space[name]
        for name, cell in zip(owner.__code__.co_freevars, owner.__closure__ or (), strict=True):
            try:
                yield f"The variable '{name}' around {owner.__qualname__}", cell.cell_contents
            except ValueError:  # it has no value yet
                continue
    elif isinstance(owner, ModuleType | type):
        kind = "module" if isinstance(owner, ModuleType) else "class"
        for name, part in list(vars(owner).items()):
            if not (name in _LEFT_OUT or name.startswith("__")):
                yield f"The attribute '{name}' of the {kind} {owner.__name__}", part
    else:
        facts = getattr(owner, "__dict__", None)
        for name, part in list(facts.items()) if type(facts) is dict else ():
            yield f"The attribute '{name}' of {_article(owner)}", part


def _article(value: Any) -> str:
    return f"a {type(value).__name__}"
