"""What a value comes to as a digest: equal for equal values of equal types, in every process.

A value is written as tagged bytes from which it could be told apart from every other one, and these are hashed. Neither
the address of an object nor its text decides. What cannot be written so is refused, and never guessed.
"""

from __future__ import annotations

import copyreg
import marshal
import types
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import cached_property, lru_cache
from hashlib import blake2b
from struct import Struct
from typing import Any, Final

from pipe_core.graph.caching import arrays, code
from pipe_core.graph.caching.errors import UnsignableError
from pipe_core.kernel.error_text import error_text

DIGEST_BYTES: Final = 20
"""Of each digest: half as many bits must be tried before two values are found that have the same."""
_FLOAT: Final = Struct(">d")
_SMALL: Final = 1 << 63


def sign(value: Any) -> str:
    """The digest of *value*.

    Types count: ``1``, ``"1"``, ``True`` and ``1.0`` differ, and so do a list and a tuple. The order of a dictionary or
    of a set does not. An object counts as its class, by name, and what pickle would take it apart into; if it has a
    method ``__cache_key__``, as its class and what that returns.

    Raises:
        UnsignableError: Something in it cannot be told apart from others, such as a lock, a connection or a generator.
    """
    plain = _PLAIN.get(type(value))
    if plain is not None:
        return blake2b(plain(value), digest_size=DIGEST_BYTES).hexdigest()
    return Signer().digest(value)


def sign_code(fn: Callable[..., Any], helpers: bool = False) -> dict[str, str]:
    """What *fn* consists of, each part in words and with its digest.

    Its name, its bytecode with constants and names, its defaults, and the values of the variables around it. Values are
    signed as they are now: ask again when they may have changed.

    Args:
        fn: A function, or anything else that can be called.
        helpers: Whether the functions, classes and constants of the same module count that it uses, and those that
            they use.

    Raises:
        UnsignableError: A default, or a value around it, cannot be signed.
    """
    parts: dict[str, str] = {}
    module = code.module_of(fn) if helpers else None
    for part, value in code.parts_of(fn, module):
        signer = Signer(module, within=fn)
        try:
            parts[part] = signer.digest(value)
        except UnsignableError as error:
            name = getattr(fn, "__qualname__", type(fn).__qualname__)
            raise UnsignableError(f"In {part} of {name}: {error}", path=error.path) from None
    return parts


def combined(digests: Mapping[str, str]) -> str:
    """One digest for several, by name; of a function for its parts, as `sign_code` gives them."""
    parts = [f"{name}={digest}" for name, digest in sorted(digests.items())]
    return blake2b("\0".join(parts).encode(), digest_size=DIGEST_BYTES).hexdigest()


def signature_of(code: str, inputs: Mapping[str, str]) -> str:
    """The signature of a result: of a function with this `combined` digest, for inputs with these, by name."""
    return combined({"": code, **inputs})


class Signer:
    """Writes one value; never used again afterwards.

    Args:
        helpers: The module whose functions, classes and constants count where a function uses them; None: none do.
        within: The function whose part it is, for those that call themselves.
    """

    def __init__(self, helpers: str | None = None, within: Any = None) -> None:
        self.helpers = helpers
        self._out: list[Any] = []
        self._open = [] if within is None else [within]

    def digest(self, value: Any) -> str:
        """The digest of *value*."""
        try:
            self.write(value)
        except _Refused as refused:
            path = "".join(reversed(refused.steps))
            raise UnsignableError(f"{refused}{f', at {path}' if path else ''}. {_HINT}", path=path) from None
        except RecursionError:
            raise UnsignableError(
                f"A {name_of(type(value))} cannot be signed: it contains itself, or is nested very deep. {_HINT}"
            ) from None
        digest = blake2b(digest_size=DIGEST_BYTES)
        for part in self._out:
            digest.update(part)
        return digest.hexdigest()

    def write(self, value: Any) -> None:
        """Add *value*."""
        kind = type(value)
        plain = _PLAIN.get(kind)
        if plain is not None:
            self._out.append(plain(value))
        else:
            _WRITERS.get(kind, _write_other)(self, value)

    def tag(self, tag: str, *values: Any) -> None:
        """Add what something is, and what it consists of."""
        self._out.append(b"<%s%d:" % (tag.encode(), len(values)))
        for value in values:
            self.write(value)

    def raw(self, data: Any) -> None:
        """Add bytes."""
        self._out.append(b"r%d:" % len(data))
        self._out.append(data)

    def encoded(self, value: Any) -> bytes:
        """*value* by itself, for sorting."""
        kept, self._out = self._out, []
        try:
            self.write(value)
            return b"".join(self._out)
        finally:
            self._out = kept

    def function(self, fn: Any) -> None:
        """Add a function. One that is being written already, because it calls itself, is its place among those."""
        place = next((i for i, one in enumerate(self._open) if one is fn), None)
        if place is not None:
            self.tag("again", place)
            return
        self._open.append(fn)
        parts = list(code.parts_of(fn, self.helpers))
        names = tuple(part for part, _ in parts)
        self.tag("function", names)
        self._members([value for _, value in parts], lambda i: f" ({names[i]})")
        self._open.pop()

    def object(self, value: Any) -> None:
        """Add an object as what pickle takes it apart into."""
        kind = type(value)
        reduce = copyreg.dispatch_table.get(kind)
        try:
            parts = value.__reduce_ex__(4) if reduce is None else reduce(value)
        except RecursionError:
            raise
        except Exception as error:  # somebody else's code
            raise _Refused(f"A {name_of(kind)} cannot be signed: {type(error).__name__}: {error_text(error)}") from None
        if isinstance(parts, str):
            self.tag("named", getattr(value, "__module__", None) or kind.__module__, parts)
            return
        make, args, state, members, pairs = (*parts, None, None, None)[:5]
        names, values = _state_of(kind, state)
        name = _importable(make)
        if name is None:
            self.write(make)
        # Its own class stands there already, by name; but one that is made in a function is its code, too.
        is_plain = self.helpers is None and "<locals>" not in kind.__qualname__
        args = tuple(None if is_plain and one is kind else one for one in args)
        self.tag("object", (name_of(kind), name, len(args), members is None, pairs is None, *names))
        self._members([*args, *values], lambda i: names[i - len(args)] if i >= len(args) else "")
        if members is not None:
            self.write(list(members))
        if pairs is not None:
            self.write(list(pairs) if isinstance(value, OrderedDict) else dict(pairs))

    def _members(self, values: list[Any], step: Callable[[int], str]) -> None:
        """Add a list. *step* names the way to the i-th."""
        try:
            self.sequence("list", values)
        except _Refused as refused:
            refused.steps[-1] = step(int(refused.steps[-1][1:-1]))
            raise

    def sequence(self, tag: str, values: list[Any] | tuple[Any, ...]) -> None:
        """Add a list or a tuple. One of nothing but plain values is written at once."""
        if _PLAIN_TYPES.issuperset(map(type, values)):
            # As format 2: later ones write equal values differently when they are the same object.
            self.tag(f"plain {tag}")
            self.raw(marshal.dumps(values, 2))
            return
        self.tag(tag, len(values))
        for i, value in enumerate(values):
            try:
                self.write(value)
            except _Refused as refused:
                refused.steps.append(f"[{i}]")
                raise

    def mapping(self, values: Mapping[Any, Any]) -> None:
        """Add a dictionary, in the order of its keys' bytes."""
        if {str}.issuperset(map(type, values)):
            keys = sorted(values)
        else:
            keys = [key for _, key in sorted(((self.encoded(key), key) for key in values), key=_first)]
        self.tag("dict", keys)
        self._members([values[key] for key in keys], lambda i: _key_step(keys[i]))

    def members(self, kind: str, values: Iterable[Any]) -> None:
        """Add a set, in the order of its members' bytes."""
        found = sorted(map(self.encoded, values))
        self.tag("set", kind, len(found))
        self._out += found


class _Refused(Exception):
    """A value cannot be signed. `steps` lead to it, the innermost first."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.steps: list[str] = []


_HINT: Final = (
    "Give plain data, or give its class a method __cache_key__ that returns what tells its objects apart; "
    "@node(cache=False) leaves a node out"
)


def _name_of(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _first(pair: tuple[bytes, Any]) -> bytes:
    return pair[0]


def _key_step(key: Any) -> str:
    return f"[{key!r}]" if type(key) in (str, int) else f"[{name_of(type(key))}]"


def _importable(make: Any) -> str | None:
    """The name by which pickle would find a function."""
    if isinstance(make, types.FunctionType) and "<" not in make.__qualname__:
        return f"{make.__module__}.{make.__qualname__}"
    return None


def _state_of(kind: type, state: Any) -> tuple[list[str], list[Any]]:
    """The parts of what pickle would keep: their steps, and they. What is only remembered is no part of an object."""
    if state is None:
        return [], []
    slots: dict[str, Any] = {}
    if type(state) is tuple and len(state) == 2 and type(state[1]) is dict:  # attributes and slots
        state, slots = state[0] or {}, state[1]
    if type(state) is not dict:
        return [""], [state] if not slots else [(state, slots)]
    if "__pydantic_fields_set__" in state:
        state = {**state["__dict__"], **{name: part for name, part in state.items() if name != "__dict__"}}
    remembered = _remembered(kind)
    found = {key: part for key, part in (*state.items(), *slots.items()) if key not in remembered}
    if not {str}.issuperset(map(type, found)):
        return [""], [found]
    names = sorted(found)
    return [f".{name}" for name in names], [found[name] for name in names]


def _remembered_by(kind: type) -> frozenset[str]:
    return frozenset(
        name for base in kind.__mro__ for name, one in vars(base).items() if isinstance(one, cached_property)
    )


name_of: Final[Callable[[type], str]] = lru_cache(1024)(_name_of)
"""The name of a class, with its module."""
_remembered: Final[Callable[[type], frozenset[str]]] = lru_cache(1024)(_remembered_by)


# --- by type ---


def _plain_int(value: int) -> bytes:
    if -_SMALL <= value < _SMALL:
        return b"i%d;" % value
    data = value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
    return b"I%d:%b" % (len(data), data)


def _plain_str(value: str) -> bytes:
    try:
        data = value.encode()
    except UnicodeEncodeError:  # a lone surrogate
        data = value.encode("utf-8", "surrogatepass")
    return b"s%d:%b" % (len(data), data)


_PLAIN: Final[Mapping[type, Callable[[Any], bytes]]] = {
    int: _plain_int,
    str: _plain_str,
    float: lambda value: b"f" + _FLOAT.pack(value),
    bool: lambda value: b"T" if value else b"F",
    type(None): lambda _: b"N",
    bytes: lambda value: b"b%d:%b" % (len(value), value),
}
_PLAIN_TYPES: Final = frozenset(_PLAIN)


def _write_enum(signer: Signer, value: Enum) -> None:
    signer.tag("enum", name_of(type(value)), value._name_, value._value_)


def _write_memoryview(signer: Signer, value: memoryview) -> None:
    signer.tag("memoryview", value.format, value.shape, value.tobytes())


def _write_set(signer: Signer, value: Any) -> None:
    """Also of a subclass, which may have attributes; pickle would write the members in the order of their hashes."""
    kind = type(value)
    signer.members(name_of(kind), value)
    if kind not in (set, frozenset):
        signer.write(value.__getstate__())


def _write_other(signer: Signer, value: Any) -> None:
    kind = type(value)
    key = getattr(kind, "__cache_key__", None)
    if key is not None:
        try:
            found = key(value)
        except Exception as error:  # somebody else's code
            raise _Refused(
                f"The __cache_key__ of a {name_of(kind)} failed: {type(error).__name__}: {error_text(error)}"
            ) from error
        signer.tag("key", name_of(kind), found)
    elif isinstance(value, type):
        code.write_class(signer, value)
    elif isinstance(value, Enum):
        _write_enum(signer, value)
    elif isinstance(value, set | frozenset):
        _write_set(signer, value)
    elif kind is object:
        raise _Refused("A bare object() cannot be signed: nothing but its place in memory tells it from another one")
    else:
        (arrays.writer_for(kind) or Signer.object)(signer, value)


_WRITERS: Final[Mapping[type, Callable[[Signer, Any], None]]] = {
    datetime: lambda signer, value: signer.tag(
        "datetime", value.replace(tzinfo=None).isoformat(), value.fold, value.tzinfo
    ),
    date: lambda signer, value: signer.tag("date", value.isoformat()),
    timezone: lambda signer, value: signer.tag("timezone", value.utcoffset(None), value.tzname(None)),
    timedelta: lambda signer, value: signer.tag("timedelta", value.days, value.seconds, value.microseconds),
    Decimal: lambda signer, value: signer.tag("decimal", str(value)),
    list: lambda signer, value: signer.sequence("list", value),
    tuple: lambda signer, value: signer.sequence("tuple", value),
    dict: Signer.mapping,
    set: _write_set,
    frozenset: _write_set,
    types.MappingProxyType: Signer.mapping,
    memoryview: _write_memoryview,
    types.FunctionType: Signer.function,
    **code.WRITERS,
}
