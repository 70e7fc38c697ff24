"""How results come to be kept, and found again: the signature of a step is its code and what its inputs come from.

What a step gives has the signature of the step, so that only what comes from outside is ever taken apart and hashed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.caching.errors import CacheError, UnsignableError
from pipe_core.graph.caching.memory import MISSING, Cache
from pipe_core.graph.caching.parts import Parts, why
from pipe_core.graph.caching.signatures import combined, sign, sign_code, signature_of
from pipe_core.graph.nesting import PipelineNode
from pipe_core.graph.plan import Plan, Step, Values
from pipe_core.kernel.errors import OptionsError

if TYPE_CHECKING:
    from pipe_core.graph.levels import Level
    from pipe_core.graph.node import Node
    from pipe_core.graph.scope import Scope

logger = logging.getLogger("pipe_core")

_PATIENCE: Final = 60.0
"""Seconds to wait for another process that is making the same result, before making it here as well."""


class Signed(list[Any]):
    """Values with the signatures of those that have one, by slot."""

    __slots__ = ("signatures",)

    def __init__(self, values: Sequence[Any], signatures: Mapping[int, str] | None = None) -> None:
        super().__init__(values)
        self.signatures = dict(signatures or {})

    def __reduce__(self) -> tuple[Any, ...]:
        return Signed, (list(self), self.signatures)


class Signing:
    """What a run has signed so far."""

    def __init__(self) -> None:
        self._codes: dict[Any, tuple[Mapping[str, str], str]] = {}
        self._warned: set[str] = set()

    def code(self, node: Node[..., Any]) -> tuple[Mapping[str, str], str]:
        """The digests of a node's code, and one for all of them."""
        found = self._codes.get(node)
        if found is None:
            digests = sign_code(node.fn, node.helpers)
            found = self._codes[node] = digests, combined(digests)
        return found

    def warn(self, what: str, error: Exception) -> None:
        """Say, once for each *what*, why something is not kept."""
        if what not in self._warned:
            self._warned.add(what)
            logger.warning("%s is not kept: %s", what, error)


def values_of(plan: Plan, inputs: Mapping[str, Any], scope: Scope, signed: Mapping[str, str] | None = None) -> Values:
    """The list of values that a run of *plan* begins with, with the signatures of inputs that are *signed*."""
    values = plan.values(inputs)
    if scope.cache is None:
        return values
    return Signed(values, {plan.inputs[name]: digest for name, digest in (signed or {}).items() if name in plan.inputs})


def signed_once(inputs: Mapping[str, Any]) -> dict[str, str]:
    """The digests of inputs that are the same for all items, so that each is taken apart once."""
    found = {}
    for name, value in inputs.items():
        with suppress(UnsignableError):  # told where it is used
            found[name] = sign(value)
    return found


def values_for(plan: Plan, step: Step, inputs: Sequence[Any], signatures: Mapping[int, str] | None) -> Values:
    """A list of values for *step* alone."""
    values = plan.values_for(step, inputs)
    return values if signatures is None else Signed(values, signatures)


def signatures_of(values: Values, slots: Sequence[int]) -> dict[int, str] | None:
    """The signatures of these slots that are known; None where nothing is kept."""
    if not isinstance(values, Signed):
        return None
    return {slot: values.signatures[slot] for slot in slots if slot in values.signatures}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A result that is not there yet, and is to be kept."""

    cache: Any
    parts: Parts
    signature: str


def look(step: Step, values: Values, level: Level, *, waits: bool = True) -> Wanted | bool:
    """Look for what *step* would give.

    Returns:
        True if it was found, and stands in *values* now. What is wanted, if it should be kept; else False.
    """
    scope, node = level.scope, step.node
    cache = scope.cache
    if cache is None or not node.cache or isinstance(node, PipelineNode):
        return False
    assert isinstance(values, Signed)
    try:
        parts, signature = _parts(step, values, scope)
        found = cache.get(signature, MISSING)
        if found is MISSING and _is_made_elsewhere(cache, signature, waits):
            found = cache.get(signature, MISSING)
    except CacheError as error:
        scope.run.signing.warn(f"What '{node.name}' gives", error)
        return False
    _sign_outputs(step, values, signature)
    if found is MISSING:
        return Wanted(cache, parts, signature)
    step.put(values, found)
    level.node_is_known(step, signature)
    return True


def _is_made_elsewhere(cache: Any, signature: str, waits: bool) -> bool:
    """Whether somebody else has made the result while this one waited."""
    claim = getattr(cache, "claim", None)
    return claim is not None and claim(signature, wait=_PATIENCE if waits else 0.0).value == "kept"


def _parts(step: Step, values: Signed, scope: Scope) -> tuple[Parts, str]:
    """What the signature of a step's result is made of, and the signature."""
    node = step.node
    assert not isinstance(node, PipelineNode)
    inputs = {}
    for name, slot in zip(step.names, step.slots, strict=True):
        if slot not in values.signatures:
            try:
                values.signatures[slot] = sign(values[slot])
            except UnsignableError as error:
                raise UnsignableError(f"its input '{name}': {error}", path=error.path) from None
        inputs[name] = values.signatures[slot]
    code, digest = scope.run.signing.code(node)
    return Parts(node.name, code, inputs), signature_of(digest, inputs)


def _sign_outputs(step: Step, values: Signed, signature: str) -> None:
    for name, slot in zip(step.node.outputs, step.outputs, strict=True):
        values.signatures[slot] = f"{signature}.{name}"


def keep(wanted: Wanted, step: Step, values: Values, level: Level) -> None:
    """The step has given what was *wanted*."""
    try:
        why_not = wanted.cache.put(wanted.signature, step.taken(values), wanted.parts)
    except CacheError as error:
        level.scope.run.signing.warn(f"What '{step.node.name}' gives", error)
        give_up(wanted)
        return
    if why_not is not None:
        logger.debug("what '%s' gives is kept in this process alone: %s", step.node.name, why_not)


def give_up(wanted: Wanted) -> None:
    """The step has failed: others may try."""
    release = getattr(wanted.cache, "release", None)
    if release is not None:
        try:
            release(wanted.signature)
        except CacheError as error:
            logger.warning("a claim in the cache could not be given up: %s", error)


# --- explained ---


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a node would run, and why.

    Attributes:
        node: Its name.
        is_kept: Whether its result is in the cache; None where that is only known when others have run.
        reasons: Why it would run, in words.
    """

    node: str
    is_kept: bool | None
    reasons: tuple[str, ...] = ()


def explained(plan: Plan, inputs: Mapping[str, Any], scope: Scope) -> list[Explanation]:
    """What a run would find in the cache. Nothing runs."""
    values = Signed(plan.values(inputs))
    unknown: dict[int, str] = {}
    found = []
    for step in plan.steps:
        one = _explained(step, values, scope, unknown)
        if any(slot not in values.signatures for slot in step.outputs):
            unknown |= dict.fromkeys(step.outputs, step.node.name)
        found.append(one)
    return found


def _explained(step: Step, values: Signed, scope: Scope, unknown: Mapping[int, str]) -> Explanation:
    node, cache = step.node, scope.cache
    if isinstance(node, PipelineNode):
        return Explanation(node.name, None, ("it is a pipeline: its nodes are looked for one by one",))
    if cache is None:
        return Explanation(node.name, False, ("the pipeline has no cache",))
    if not node.cache:
        return Explanation(node.name, False, ("it says cache=False",))
    before = next((unknown[slot] for slot in step.slots if slot in unknown), None)
    if before is not None:
        return Explanation(node.name, None, (f"that depends on what '{before}' gives",))
    try:
        parts, signature = _parts(step, values, scope)
        _sign_outputs(step, values, signature)
        if cache.get(signature, MISSING) is not MISSING:
            return Explanation(node.name, True)
        nearest = getattr(cache, "nearest", None)
        return Explanation(node.name, False, tuple(why(None if nearest is None else nearest(parts), parts)))
    except CacheError as error:
        return Explanation(node.name, False, (f"its result cannot be kept: {error}",))


def check_cache(cache: Any) -> Cache | None:
    """*cache*, if it is one.

    Raises:
        OptionsError: It is none.
    """
    if cache is None or isinstance(cache, Cache):
        return cache
    raise OptionsError(
        f"cache wants something with get, put and has, such as MemoryCache() or DiskCache(path), not {cache!r}."
    )
