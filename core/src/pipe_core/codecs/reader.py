"""One decoding: flat msgpack arrays become values again, under limits that a hostile frame cannot get around."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from msgpack import Unpacker, unpackb

from pipe_core.codecs.options import MsgpackOptions
from pipe_core.kernel.errors import CodecError

Read: TypeAlias = "Callable[[Reader, bytes], Any]"
"""Makes a value of the data of an extension."""
_UNCHECKED_ITEMS: Final = 64
_STACKED_LEVELS: Final = 8
_STRAY_LIST: Final = "The frame is malformed: a list stands where none is allowed."


class Reader:
    """Decodes one payload; never used again afterwards."""

    __slots__ = ("_arrays", "_containers", "_count", "_depth", "_held", "_options", "_scalars")

    def __init__(self, scalars: Mapping[int, Read], containers: Mapping[int, Read], options: MsgpackOptions) -> None:
        self._scalars = scalars
        self._containers = containers
        self._options = options
        self._depth = 0
        self._held = 0
        self._count = 0
        self._arrays = 0

    def value(self, payload: bytes) -> Any:
        """The value of a whole payload: one cell."""
        value = self._unpack(payload, 0)
        if self._arrays:
            raise CodecError(_STRAY_LIST)
        return value

    def items(self, data: bytes) -> list[Any]:
        """The values of a flat array.

        The array may hold no other array: depth is counted where extensions nest, which is exact, while the C
        unpacker would go 1,024 levels down and make a list of the declared length at each before it finds out
        that nothing follows.
        """
        count = _declared_items(data)
        if count > _UNCHECKED_ITEMS:
            _check_whole(data)
        outer, self._arrays = self._arrays, 0
        result = self._unpack(data, count)
        self._arrays = outer
        if type(result) is not list:
            raise CodecError("The frame is malformed: a list was expected.")
        return result

    def count(self, containers: int) -> None:
        """Note that there are so many more containers, before they are made."""
        self._count += containers
        if self._count > self._options.max_containers:
            raise CodecError(f"The frame holds more than max_containers={self._options.max_containers:,}.")

    def _unpack(self, data: bytes, longest: int) -> Any:
        size = len(data)
        if self._depth > _STACKED_LEVELS:
            return self._unpack_on_heap(data, longest)
        return unpackb(
            data,
            list_hook=self._note_array,
            object_hook=_refuse_map,
            ext_hook=self._extension,
            raw=False,
            unicode_errors="surrogatepass",
            timestamp=1,  # msgpack's own extension -1 is none of ours; this makes a harmless float of it
            max_array_len=longest,
            max_map_len=0,
            max_str_len=size,
            max_bin_len=size,
            max_ext_len=size,
        )

    def _unpack_on_heap(self, data: bytes, longest: int) -> Any:
        """The same with an object: `unpackb` takes 40 KiB of stack, and 64 levels would overflow a small thread's."""
        size = len(data)
        unpacker = Unpacker(
            None,
            read_size=1,
            max_buffer_size=max(size, 1),
            list_hook=self._note_array,
            object_hook=_refuse_map,
            ext_hook=self._extension,
            raw=False,
            unicode_errors="surrogatepass",
            timestamp=1,
            max_array_len=longest,
            max_map_len=0,
            max_str_len=size,
            max_bin_len=size,
            max_ext_len=size,
        )
        unpacker.feed(data)
        value = unpacker.unpack()
        if unpacker.tell() != size:
            raise CodecError("The frame is malformed: something follows the end of a list.")
        return value

    def _note_array(self, items: list[Any]) -> list[Any]:
        if self._arrays:
            raise CodecError(_STRAY_LIST)
        self._arrays = 1
        return items

    def _extension(self, code: int, data: bytes) -> Any:
        scalar = self._scalars.get(code)
        if scalar is not None:
            return scalar(self, data)
        container = self._containers.get(code)
        if container is None:
            raise CodecError(f"The frame holds a value of a kind that is not known here: {code}.")
        self._depth += 1
        self._held += len(data)
        self.count(1)
        if self._depth > self._options.max_depth:
            raise CodecError(f"The frame is nested deeper than max_depth={self._options.max_depth}.")
        if self._held > self._options.max_decoded_bytes:
            raise CodecError("The frame nests more bytes than max_decoded_bytes allows to hold.")
        value = container(self, data)
        self._held -= len(data)
        self._depth -= 1
        return value


def _refuse_map(value: dict[Any, Any]) -> None:
    raise CodecError("The frame is malformed: a map stands where none is allowed.")


def _declared_items(data: bytes) -> int:
    """How many items the flat array *data* says it has."""
    first = data[0] if data else 0
    if 0x90 <= first <= 0x9F:
        header, count = 1, first & 0x0F
    elif first in (0xDC, 0xDD):
        header = 3 if first == 0xDC else 5
        count = int.from_bytes(data[1:header], "big")
    else:
        raise CodecError("The frame is malformed: a list was expected.")
    if count > len(data) - header:
        raise CodecError(f"The frame is malformed: a list of {count:,} items has {len(data) - header:,} bytes.")
    return count


def _check_whole(data: bytes) -> None:
    """Walk over the array without making anything: each declared item must be there.

    Short arrays need no such walk: 1,024 nested lists of 64 places are half a megabyte.
    """
    unpacker = Unpacker(None, read_size=1, max_buffer_size=len(data))
    unpacker.feed(data)
    unpacker.skip()
    if unpacker.tell() != len(data):
        raise CodecError("The frame is malformed: something follows the end of a list.")
