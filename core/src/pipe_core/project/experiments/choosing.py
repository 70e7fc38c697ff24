"""Which optimizer: by a word, by where its class is, or one that is there already."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from pipe_core.kernel.error_text import short_repr
from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.index import suggestion
from pipe_core.project.experiments.errors import OptimizerMissingError
from pipe_core.project.experiments.optimizer import Optimizer
from pipe_core.project.experiments.space import Space

DEFAULT: Final = "optuna"
WORDS: Final[Mapping[str, str]] = {
    "random": "pipe_core.project.experiments.random_search:RandomSearch",
    "grid": "pipe_core.project.experiments.grid_search:GridSearch",
    "optuna": "pipe_ml.optuna:OptunaOptimizer",
    "skopt": "pipe_ml.skopt:SkoptOptimizer",
}
"""Short words for optimizers, and where each one is."""

_PACKAGES: Final[Mapping[str, tuple[str, str]]] = {
    "pipe_ml": ("pipe-ml", "pip install pipe-ml"),
    "optuna": ("optuna", "pip install pipe-ml"),
    "skopt": ("scikit-optimize", "pip install 'pipe-ml[skopt]'"),
}
"""For modules that may be missing: their distributions, and what installs them. Nothing is imported by this."""


def choose_optimizer(
    wanted: Any, space: Space, *, random_state: int | None = None, n_calls: int | None = None
) -> Optimizer:
    """A ready optimizer.

    Args:
        wanted: One of `WORDS`; ``module:Class``; a class or a function that makes one; any of these with its options as
            ``(what, {"option": value})``; or an optimizer. None: `DEFAULT`.
        space: Where it looks.
        random_state: Its seed.
        n_calls: How many trials there will be.

    Raises:
        OptionsError: There is no such thing, or it does not take the options.
        OptimizerMissingError: It is in a package that is not installed.
    """
    if isinstance(wanted, Optimizer) and not inspect.isclass(wanted):
        return wanted
    name, make, options = find_optimizer(wanted)
    try:
        made = make(space, **_arguments(name, make, random_state, n_calls, options))
    except ModuleNotFoundError as error:
        raise _missing(name, error) from error
    if not isinstance(made, Optimizer):
        raise OptionsError(f"{name} made {short_repr(made)}, which is no optimizer: it lacks ask, tell or best.")
    return made


def _arguments(
    name: str, make: Callable[..., Any], random_state: int | None, n_calls: int | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """What *make* is given beside the space."""
    try:
        signature = inspect.signature(make)
    except ValueError as error:  # of some types that are built into Python
        raise OptionsError(f"{name} is no optimizer: {error}.") from error
    arguments = {"random_state": random_state, **({"n_calls": n_calls} if "n_calls" in signature.parameters else {})}
    if twice := [option for option in options if option in arguments]:
        raise OptionsError(f"{', '.join(twice)} belongs to the experiment: give it there, not with the optimizer.")
    try:
        signature.bind(None, **arguments, **options)
    except TypeError as error:
        raise OptionsError(f"The optimizer {name} does not take what it would be given: {error}.") from error
    return {**arguments, **options}


def find_optimizer(wanted: Any) -> tuple[str, Callable[..., Any], dict[str, Any]]:
    """The name of what *wanted* means, what makes it, and its options.

    Raises:
        OptionsError: There is no such thing.
        OptimizerMissingError: It is in a package that is not installed.
    """
    options: dict[str, Any] = {}
    if isinstance(wanted, tuple) and len(wanted) == 2 and isinstance(wanted[1], Mapping):
        wanted, options = wanted[0], dict(wanted[1])
    wanted = DEFAULT if wanted is None else wanted
    if isinstance(wanted, str):
        return wanted, _imported(wanted), options
    if callable(wanted):
        return getattr(wanted, "__qualname__", short_repr(wanted)), wanted, options
    raise OptionsError(
        f"{short_repr(wanted)} is no optimizer. Give one of {', '.join(WORDS)}, 'module:Class', or an object with ask, "
        f"tell and best."
    )


def _imported(wanted: str) -> Callable[..., Any]:
    module, _, attribute = WORDS.get(wanted, wanted).partition(":")
    if not module or not attribute:
        hint = suggestion(wanted, WORDS)
        raise OptionsError(f"No optimizer named '{wanted}'. Known: {', '.join(WORDS)}; or 'module:Class'.{hint}")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise _missing(wanted, error) from error
    except AttributeError as error:
        raise OptionsError(f"There is no '{attribute}' in {module}, so '{wanted}' names no optimizer.") from error
    if not callable(found):
        raise OptionsError(f"'{wanted}' is {short_repr(found)}, nothing that makes an optimizer.")
    made: Callable[..., Any] = found
    return made


def _missing(wanted: str, error: ModuleNotFoundError) -> OptimizerMissingError:
    module = (error.name or "").partition(".")[0]
    package, install = _PACKAGES.get(module, (module, f"pip install {module}"))
    default = ", which is the default," if wanted == DEFAULT else ""
    text = (
        f"The optimizer '{wanted}'{default} needs the package {package}, which is not installed. Install it with: "
        f"{install}. Core's own need nothing: optimizer='random' or optimizer='grid'."
    )
    return OptimizerMissingError(text, optimizer=wanted, missing=package, install=install)
