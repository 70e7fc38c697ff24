"""One encoding: a value becomes cells, and cells become flat msgpack arrays.

A cell is what the C packer takes without help: a plain value or an extension. Extensions that hold a container are
made from the inside out, so one packer serves them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from msgpack import ExtType, Packer

from pipe_core.codecs import tags
from pipe_core.codecs.options import MsgpackOptions

PLAIN: Final = frozenset({type(None), bool, int, float, str, bytes})
"""Types that msgpack keeps by itself. Only a value whose type *is* one of them counts, never a subclass."""
_BUFFER_BYTES: Final = 32 * 1024  # The packer's default of 256 KiB is a system call for each packer.

Write: TypeAlias = "Callable[[Writer, Any], ExtType]"
"""Makes the extension of a value of one type."""
WriteMany: TypeAlias = "Callable[[Writer, list[Any]], ExtType | None]"
"""Makes the extension of a list whose members all have one type, or None when they differ in what it needs."""


class Refused(Exception):
    """A value cannot travel. `steps` lead to it, the innermost first."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.steps: list[str] = []

    @property
    def path(self) -> str:
        """Where the value is, as in ``$[3].customer.kind``."""
        return "$" + "".join(reversed(self.steps))


class Writer:
    """Encodes one value; never used again afterwards.

    Attributes:
        deepest: How many levels of containers the value has.
        containers: How many containers it holds.
    """

    __slots__ = ("_depth", "_packer", "_single", "containers", "deepest", "many", "options")

    def __init__(self, single: Mapping[type, Write], many: Mapping[type, WriteMany], options: MsgpackOptions) -> None:
        self.options = options
        self.many = many
        self._single = single
        self._packer = Packer(default=_big_int, strict_types=True, buf_size=_BUFFER_BYTES)
        self._depth = 0
        self.deepest = 0
        self.containers = 0

    def pack(self, cell: Any) -> bytes:
        """The bytes of one cell, or of a list of cells."""
        try:
            return bytes(self._packer.pack(cell))
        except UnicodeEncodeError:
            # A lone surrogate, as in file names that are no UTF-8: rare, so only then is the slower packer made.
            self._packer.reset()
            tolerant = Packer(default=_big_int, strict_types=True, unicode_errors="surrogatepass")
            return bytes(tolerant.pack(cell))

    def cell(self, value: Any) -> Any:
        """*value* as the C packer takes it."""
        kind = type(value)
        if kind in PLAIN:
            return value
        write = self._single.get(kind)
        if write is None:
            raise Refused(_cannot_travel(kind))
        return write(self, value)

    def cells(self, values: Iterable[Any], step: Callable[[int], str]) -> list[Any]:
        """Each of *values* as a cell. *step* names the way to the i-th one for an error's path."""
        cells: list[Any] = []
        try:
            for value in values:
                cells.append(self.cell(value))  # noqa: PERF401  # its length says which value was refused
        except Refused as refused:
            refused.steps.append(step(len(cells)))
            raise
        return cells

    def enter(self) -> None:
        """A container begins. Every container writer calls this first, and `leave` when it is done."""
        self._depth += 1
        if self._depth > self.options.max_depth:
            raise Refused(f"the value is nested deeper than max_depth={self.options.max_depth}, or it contains itself")
        self.deepest = max(self.deepest, self._depth)
        self.count(1)

    def leave(self) -> None:
        """The container that began last has ended."""
        self._depth -= 1

    def count(self, containers: int) -> None:
        """Note that there are so many more containers."""
        self.containers += containers
        if self.containers > self.options.max_containers:
            raise Refused(f"the value holds more than max_containers={self.options.max_containers:,} lists and dicts")


def index_step(i: int) -> str:
    """The step to the i-th member of a sequence."""
    return f"[{i}]"


def key_step(key: Any) -> str:
    """The step to what a dict has under *key*, or an object under its attribute."""
    if type(key) is str and key.isidentifier():
        return f".{key}"
    return f"[{repr(key)[:80]}]"


def _big_int(value: Any) -> ExtType:
    """What the packer asks for integers of more than 64 bits; everything else has become a cell before."""
    if type(value) is not int:
        raise TypeError(f"no cell: {type(value).__qualname__}")
    return ExtType(tags.BIG_INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _cannot_travel(kind: type) -> str:
    name = f"{kind.__module__}.{kind.__qualname__}"
    base = next((base.__name__ for base in kind.__mro__[1:] if base in PLAIN or base in (list, dict, tuple, set)), "")
    what = f"{name}, a subclass of {base}," if base else name
    return (
        f"{what} cannot travel: it is not in the table of types. Enums, pydantic models, dataclasses and NamedTuples "
        "travel when the program's table has their class; turn other objects into plain data first"
    )
