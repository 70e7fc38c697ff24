"""A value that is too long for one frame, as several: lists, tuples and bytes are cut, and put together again.

Each frame holds what is to be done with a pile: put a value on it, join the two on top, or put the one on top into a
list or tuple of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from pipe_core.kernel.errors import CodecError

_VALUE: Final = 0
_JOIN: Final = 1
_LIST: Final = 2
_TUPLE: Final = 3
_INTO: Final[dict[type, int]] = {list: _LIST, tuple: _TUPLE}
DEEPEST: Final = 16
"""So many levels of lists and tuples are cut; what stands deeper is not. A value may hold itself."""


def frames_of(value: Any, encode: Callable[[Any], bytes], deepest: int = DEEPEST) -> Iterator[bytes]:
    """*value* as frames, in one where that is possible.

    Raises:
        CodecError: A part that cannot be cut is refused: the first one, as *encode* says it.
    """
    try:
        whole = encode([_VALUE, value])
    except CodecError:
        if type(value) not in (list, tuple, bytes) or not value or (len(value) == 1 and type(value) is bytes):
            raise
        if len(value) == 1 and not deepest:
            raise
    else:
        yield whole
        return
    if len(value) > 1:
        middle = len(value) // 2
        yield from frames_of(value[:middle], encode, deepest)
        yield from frames_of(value[middle:], encode, deepest)
        yield encode([_JOIN, None])
    else:
        yield from frames_of(value[0], encode, deepest - 1)
        yield encode([_INTO[type(value)], None])


def value_of(steps: Iterable[tuple[int, Any]]) -> Any:
    """The value that `frames_of` cut, of what its frames hold."""
    pile: list[Any] = []
    for step, part in steps:
        if step == _VALUE:
            pile.append(part)
        elif step == _JOIN:
            last = pile.pop()
            pile[-1] = pile[-1] + last
        elif step in (_LIST, _TUPLE):
            pile[-1] = [pile[-1]] if step == _LIST else (pile[-1],)
        else:
            raise ValueError(f"there is no step {step!r}")
    (value,) = pile
    return value
