"""`node`: a function as a step of a pipeline. Its parameters are what it needs, its output has a name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, ParamSpec, TypeVar, overload

from pipe_core.graph.errors import NodeDefinitionError
from pipe_core.graph.policies import Policies
from pipe_core.kernel.index import suggestion
from pipe_core.runtime.permits import CircuitBreaker, RateLimit
from pipe_core.runtime.retries import Retry

P = ParamSpec("P")
R = TypeVar("R")

REQUIRED: Final = inspect.Parameter.empty
"""The default of a parameter that has none."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a node takes.

    Attributes:
        name: How it is called, inside and outside.
        default: What it is where nobody gives it; `REQUIRED` where somebody must.
        keyword_only: Whether it is passed by its name.
        type: Its annotation; `REQUIRED` where it has none.
    """

    name: str
    default: Any = REQUIRED
    keyword_only: bool = False
    type: Any = REQUIRED

    @property
    def is_required(self) -> bool:
        """Whether somebody has to give it."""
        return self.default is REQUIRED


class Node(Generic[P, R]):
    """A function, with the names of what it needs and of what it gives. Calling it calls the function.

    Args:
        fn: The function; an ``async def`` is awaited.
        output_name: What its result is called: one name, or several for a tuple of as many values. Default: the
            function's name.
        name: What the node is called in messages and pictures. Default: the function's name.
        cache: Whether its results may be kept, where the pipeline has a cache.
        helpers: Whether functions and classes of the same module that it uses count as its code, for the cache: when
            one of them changes, it runs again.
        retries: How many attempts may follow one that has failed, or a `Retry`, which also says when and for which
            errors.
        timeout: How many seconds an attempt may take. Then its worker is killed, a coroutine on ``asyncio`` cancelled,
            or its thread left behind, where the executor can do that; elsewhere the run is refused.
        rate: How often it may start: a number a second, ``(number, seconds)`` or a `RateLimit`.
        concurrency: How many of it may run at once in one run.
        executor: Where it runs, whatever the engine says: anything that `get_executor` takes.
        resources: What it needs of its worker, and has to itself while it runs: ``{"GPU": 1}``. Executors that know no
            resources refuse it before anything runs.
        breaker: A `CircuitBreaker`: while it is open, the node waits. Nodes that use the same thing share one.

    Raises:
        NodeDefinitionError: It is no function, its parameters cannot be known by name, or a name is none.
    """

    def __init__(
        self,
        fn: Callable[P, R],
        output_name: str | tuple[str, ...] | None = None,
        *,
        name: str | None = None,
        cache: bool = True,
        helpers: bool = False,
        retries: int | Retry | None = None,
        timeout: float | None = None,
        rate: float | tuple[float, float] | RateLimit | None = None,
        concurrency: int | None = None,
        executor: Any = None,
        resources: Mapping[str, float] | None = None,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        if not callable(fn):
            raise NodeDefinitionError(f"A node wants a function, not {fn!r}.")
        self.fn = fn
        known: str = name or getattr(fn, "__name__", None) or type(fn).__name__
        self.outputs = _output_names(known, output_name)
        self.name = known if known.isidentifier() or name else self.outputs[0]  # of a lambda, what it gives
        self.is_tuple = isinstance(output_name, tuple | list)
        self.parameters = _parameters(self.name, fn)
        self.cache = _switch(self.name, "cache", cache)
        self.helpers = _switch(self.name, "helpers", helpers)
        self.policies = Policies.of(self.name, retries, timeout, rate, concurrency, executor, resources, breaker)
        self.is_async = inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004  # not whether it can be called, but how
        functools.update_wrapper(self, fn)

    @property
    def all_policies(self) -> list[Policies]:
        """Its policies, if it has some."""
        return [] if self.policies is None else [self.policies]

    @property
    def output_name(self) -> str | tuple[str, ...]:
        """As it was given."""
        return self.outputs if self.is_tuple else self.outputs[0]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The function's result."""
        return self.fn(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<node {self.name}({', '.join(one.name for one in self.parameters)}) -> {', '.join(self.outputs)}>"


@overload
def node(fn: Callable[P, R], /) -> Node[P, R]: ...
@overload
def node(
    *,
    output_name: str | tuple[str, ...] | None = None,
    name: str | None = None,
    cache: bool = True,
    helpers: bool = False,
    retries: int | Retry | None = None,
    timeout: float | None = None,
    rate: float | tuple[float, float] | RateLimit | None = None,
    concurrency: int | None = None,
    executor: Any = None,
    resources: Mapping[str, float] | None = None,
    breaker: CircuitBreaker | None = None,
) -> Callable[[Callable[P, R]], Node[P, R]]: ...
def node(fn: Any = None, /, **options: Any) -> Any:
    """Make a function a node: ``@node``, ``@node()``, ``@node(output_name="total")``.

    Args:
        fn: The function.
        **options: See `Node`.

    Raises:
        NodeDefinitionError: The function cannot be a node as it is written, or there is no such option.
    """
    for option in options:
        if option not in _OPTIONS:
            raise NodeDefinitionError(
                f"A node has no option '{option}'.{suggestion(option, _OPTIONS)} It has: {', '.join(_OPTIONS)}."
            )
    if fn is not None:
        return Node(fn, **options)
    return lambda fn: Node(fn, **options)


_OPTIONS: Final = tuple(name for name in inspect.signature(Node.__init__).parameters if name not in ("self", "fn"))


def _switch(name: str, option: str, given: object) -> bool:
    if not isinstance(given, bool):
        raise NodeDefinitionError(f"The node '{name}' wants True or False as {option}, not {given!r}.")
    return given


def _output_names(name: str, given: Any) -> tuple[str, ...]:
    names = (name,) if given is None else tuple(given) if isinstance(given, tuple | list) else (given,)
    if given is None and not name.isidentifier():
        raise NodeDefinitionError(
            f"The function {name} has no name by which its output could be found. Say @node(output_name='result')."
        )
    wrong = [one for one in names if not isinstance(one, str) or not one.isidentifier()]
    if wrong or not names:
        raise NodeDefinitionError(
            f"The node '{name}' wants names as outputs, by which other nodes can take them as parameters, not "
            f"{given!r}. Say @node(output_name='result'), or a tuple of names."
        )
    if len(set(names)) < len(names):
        raise NodeDefinitionError(f"The node '{name}' has the same output twice: {', '.join(names)}.")
    return names


def _parameters(name: str, fn: Callable[..., Any]) -> tuple[Parameter, ...]:
    try:
        found = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        raise NodeDefinitionError(
            f"The parameters of '{name}' cannot be read: it says nothing of its signature. Wrap it in a function "
            f"with named parameters."
        ) from None
    for parameter in found:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise NodeDefinitionError(
                f"The node '{name}' has the parameter {parameter}, and a pipeline finds inputs by name. Name each "
                f"parameter, or take a list or a dictionary as one."
            )
    return tuple(Parameter(one.name, one.default, one.kind is one.KEYWORD_ONLY, one.annotation) for one in found)
