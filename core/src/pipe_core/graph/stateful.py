"""`stateful`: what is made once in each worker and never travels, such as a client, a connection or a model."""

from __future__ import annotations

import functools
import threading
import uuid
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_made: dict[str, Any] = {}
_making: dict[str, threading.Lock] = {}
_lock = threading.Lock()


class Resource(Generic[T]):
    """Stands for a value that each process makes for itself, when it first needs it.

    Attributes and calls are those of the value. Only how to make it travels.

    Args:
        factory: Makes the value.
        args: Its arguments.
        kwargs: Its arguments by name.
    """

    __slots__ = ("_args", "_factory", "_id", "_kwargs")

    def __init__(
        self, factory: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], id: str | None = None
    ) -> None:
        self._factory = factory
        self._args = args
        self._kwargs = kwargs
        self._id = id or uuid.uuid4().hex

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what copies and pickles asks for is not the value's
            raise AttributeError(name)
        return getattr(_value_of(self), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the value."""
        value: Any = _value_of(self)
        return value(*args, **kwargs)

    def __cache_key__(self) -> Any:
        """For the signatures of caches: how it is made."""
        return self._factory, self._args, self._kwargs

    def __reduce__(self) -> tuple[Any, ...]:
        return Resource, (self._factory, self._args, self._kwargs, self._id)

    def __repr__(self) -> str:
        return f"<stateful {getattr(self._factory, '__qualname__', self._factory)}>"


# No method: whatever a resource had of its own, its value could not have under that name, such as a client its `get`.
def _value_of(resource: Resource[T]) -> T:
    """The value of this process. Made once, however many threads ask."""
    key = resource._id
    if key not in _made:
        with _lock:
            making = _making.setdefault(key, threading.Lock())
        with making:
            if key not in _made:
                _made[key] = resource._factory(*resource._args, **resource._kwargs)
    value: T = _made[key]
    return value


def stateful(factory: Callable[P, T]) -> Callable[P, Resource[T]]:
    """Make a class, or a function that makes something, one whose values stay where they were made.

    ``@stateful class Model: ...`` and then ``model = Model("large")`` loads nothing; the first use in each process
    does. Give ``model`` to a pipeline as an input, or use it in a node.

    Args:
        factory: The class or function.
    """

    @functools.wraps(factory, updated=())
    def make(*args: P.args, **kwargs: P.kwargs) -> Resource[T]:
        return Resource(factory, args, kwargs)

    return make
