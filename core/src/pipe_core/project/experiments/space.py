"""What an experiment varies: named parameters, or a list of them as scikit-optimize takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pipe_core.kernel.error_text import short_repr
from pipe_core.kernel.errors import OptionsError
from pipe_core.project.experiments.dimensions import Categorical, Dimension, Float, Integer

Point: TypeAlias = dict[str, Any]
"""A value for every parameter, by its name."""

_PRIORS: Final = {"uniform": False, "log-uniform": True}
_WAYS: Final = (
    "Write Float(0.0, 1.0), Integer(1, 9), Categorical(['a', 'b']), or short: (0.0, 1.0), (1, 9), "
    "(1e-4, 1.0, 'log-uniform'), ['a', 'b', 'c']."
)


@dataclass(frozen=True, slots=True)
class Space:
    """The parameters of an experiment.

    Attributes:
        dimensions: The parameters by name. Those of a list are called ``x0``, ``x1``, ….
        named: Whether the objective gets a dictionary; else it gets a list.
    """

    dimensions: Mapping[str, Dimension]
    named: bool = True

    @classmethod
    def of(cls, space: Any) -> Space:
        """The space that *space* describes.

        Args:
            space: A mapping of names and parameters, or a list of parameters. A parameter is a `Float`, an `Integer`, a
                `Categorical`; ``(low, high)`` or ``(low, high, "log-uniform")``, whole numbers where both are; a list
                of choices; or a dimension of scikit-optimize.

        Raises:
            OptionsError: It is none, or one of its parameters is none; says which.
        """
        if isinstance(space, Space):
            return space
        if isinstance(space, Mapping):
            items, named = list(space.items()), True
        elif isinstance(space, Sequence) and not isinstance(space, str | bytes):
            items, named = [(_name(one) or f"x{i}", one) for i, one in enumerate(space)], False
        else:
            raise OptionsError(f"{short_repr(space)} is no space: give a mapping of names and parameters, or a list.")
        if not items:
            raise OptionsError("The space has no parameters, so there is nothing to vary. " + _WAYS)
        dimensions: dict[str, Dimension] = {}
        for name, given in items:
            if not isinstance(name, str) or name in dimensions:
                raise OptionsError(f"{name!r} cannot name a parameter: names are text, and every one is there once.")
            dimensions[name] = _dimension(name, given)
        return cls(dimensions, named)

    def shaped(self, point: Mapping[str, Any]) -> Any:
        """*point* as the objective gets it: a dictionary or a list of its own."""
        values = {name: point[name] for name in self.dimensions}
        return values if self.named else list(values.values())

    def check(self, point: Any) -> Point:
        """*point*, if it is one of this space, with numbers of Python's own.

        Raises:
            ValueError: It is none; says why.
        """
        if not isinstance(point, Mapping) or set(point) != set(self.dimensions):
            raise ValueError(f"{short_repr(point)} has not just the parameters {', '.join(self.dimensions)}")
        for name, dimension in self.dimensions.items():
            if not dimension.holds(point[name]):
                raise ValueError(f"{name} = {short_repr(point[name])} is not in {dimension!r}")
        return {name: one.from_plain(one.to_plain(point[name])) for name, one in self.dimensions.items()}

    def to_plain(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """*point* as data for a file."""
        return {name: dimension.to_plain(point[name]) for name, dimension in self.dimensions.items()}

    def from_plain(self, plain: Mapping[str, Any]) -> Point:
        """The point again.

        Raises:
            ValueError: It is of another space.
        """
        if set(plain) != set(self.dimensions):
            raise ValueError(f"its parameters are {', '.join(plain)}")
        return self.check({name: self.dimensions[name].from_plain(value) for name, value in plain.items()})

    def describe(self) -> dict[str, str]:
        """The parameters as text."""
        return {name: repr(dimension) for name, dimension in self.dimensions.items()}


def _name(given: Any) -> str | None:
    name = getattr(given, "name", None) if _is_of_skopt(given) else None
    return name if isinstance(name, str) else None


def _dimension(name: str, given: Any) -> Dimension:
    if isinstance(given, Float | Integer | Categorical):
        return given
    try:
        if _is_of_skopt(given):
            return _from_skopt(given)
        if isinstance(given, tuple):
            return _from_tuple(given)
        if isinstance(given, list):
            return _from_list(given)
    except OptionsError as error:
        raise OptionsError(f"The parameter '{name}' is refused: {error}", problems={name: str(error)}) from None
    text = f"{short_repr(given)} is no parameter. {_WAYS}"
    raise OptionsError(f"The parameter '{name}' is refused: {text}", problems={name: text})


def _from_tuple(given: tuple[Any, ...]) -> Dimension:
    *bounds, last = given if len(given) == 3 and isinstance(given[-1], str) else (*given, "uniform")
    if len(bounds) != 2 or not all(map(_is_number, bounds)):
        return Categorical(given)
    if last not in _PRIORS:
        raise OptionsError(f"'{last}' is no scale of a range: choose 'uniform' or 'log-uniform'.")
    low, high = bounds
    if isinstance(low, int) and isinstance(high, int):
        return Integer(low, high, _PRIORS[last])
    return Float(low, high, _PRIORS[last])


def _from_list(given: list[Any]) -> Dimension:
    if isinstance(_from_tuple(tuple(given)), Categorical):
        return Categorical(given)
    low, high = given[:2]
    raise OptionsError(
        f"{given!r} may mean two choices, or the range between them: write Categorical([{low}, {high}]), or "
        f"({low}, {high})."
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_of_skopt(given: Any) -> bool:
    return type(given).__module__.startswith("skopt.")


def _from_skopt(given: Any) -> Dimension:
    kind = type(given).__name__
    if kind == "Categorical":
        return Categorical(list(given.categories))
    if kind == "Real":
        return Float(float(given.low), float(given.high), _PRIORS[given.prior])
    if kind == "Integer":
        return Integer(int(given.low), int(given.high), _PRIORS[given.prior])
    raise OptionsError(f"a {kind} of scikit-optimize is not known here. {_WAYS}")
