"""Values of the standard library that are no containers: numbers, identifiers, paths, addresses."""

from __future__ import annotations

import ipaddress
import pathlib
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from struct import Struct
from typing import Any, Final

from msgpack import ExtType

from pipe_core.codecs import tags
from pipe_core.codecs.reader import Read, Reader
from pipe_core.codecs.writer import Refused, Write, WriteMany, Writer
from pipe_core.kernel.errors import CodecError

_COMPLEX: Final = Struct(">dd")
_MAX_FRACTION_BITS: Final = 8192
"""Making a fraction takes time that grows with the square of its length."""
_PATHS: Final[tuple[type[pathlib.PurePath], ...]] = (
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
    pathlib.PosixPath,
    pathlib.WindowsPath,
)
_ADDRESSES: Final[tuple[Callable[[str], Any], ...]] = (
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
)
_SAFE_UUIDS: Final = tuple(uuid.SafeUUID)
_UUID_BYTES: Final = 16


def _read_big_int(reader: Reader, data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def _write_complex(writer: Writer, value: complex) -> ExtType:
    return ExtType(tags.COMPLEX, _COMPLEX.pack(value.real, value.imag))


def _read_complex(reader: Reader, data: bytes) -> complex:
    return complex(*_COMPLEX.unpack(data))


def _write_bytearray(writer: Writer, value: bytearray) -> ExtType:
    return ExtType(tags.BYTEARRAY, bytes(value))


def _read_bytearray(reader: Reader, data: bytes) -> bytearray:
    return bytearray(data)


def _write_decimal(writer: Writer, value: Decimal) -> ExtType:
    return ExtType(tags.DECIMAL, str(value).encode())


def _read_decimal(reader: Reader, data: bytes) -> Decimal:
    return Decimal(data.decode("ascii"))


def _write_decimals(writer: Writer, values: list[Decimal]) -> ExtType:
    return ExtType(tags.DECIMALS, writer.pack(list(map(str, values))))


def _read_decimals(reader: Reader, data: bytes) -> list[Decimal]:
    return list(map(Decimal, reader.items(data)))


def _write_fraction(writer: Writer, value: Fraction) -> ExtType:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MAX_FRACTION_BITS:
        raise Refused(f"a fraction whose parts have more than {_MAX_FRACTION_BITS:,} bits cannot travel")
    return ExtType(tags.FRACTION, writer.pack([value.numerator, value.denominator]))


def _read_fraction(reader: Reader, data: bytes) -> Fraction:
    numerator, denominator = reader.items(data)
    if max(numerator.bit_length(), denominator.bit_length()) > _MAX_FRACTION_BITS:
        raise CodecError("The frame holds a fraction that is longer than any that is written.")
    return Fraction(numerator, denominator)


def _write_uuid(writer: Writer, value: uuid.UUID) -> ExtType:
    if value.is_safe is uuid.SafeUUID.unknown:
        return ExtType(tags.UUID, value.bytes)
    return ExtType(tags.UUID, value.bytes + bytes([_SAFE_UUIDS.index(value.is_safe)]))


def _read_uuid(reader: Reader, data: bytes) -> uuid.UUID:
    if len(data) == _UUID_BYTES:
        return uuid.UUID(bytes=data)
    (safety,) = data[_UUID_BYTES:]
    return uuid.UUID(bytes=data[:_UUID_BYTES], is_safe=_SAFE_UUIDS[safety])


def _write_uuids(writer: Writer, values: list[uuid.UUID]) -> ExtType | None:
    if {value.is_safe for value in values} != {uuid.SafeUUID.unknown}:
        return None
    return ExtType(tags.UUIDS, b"".join([value.bytes for value in values]))


def _read_uuids(reader: Reader, data: bytes) -> list[uuid.UUID]:
    return [uuid.UUID(bytes=data[i : i + _UUID_BYTES]) for i in range(0, len(data), _UUID_BYTES)]


def _write_path(writer: Writer, value: pathlib.PurePath) -> ExtType:
    return ExtType(tags.PATH, writer.pack([_PATHS.index(type(value)), str(value)]))


def _read_path(reader: Reader, data: bytes) -> pathlib.PurePath:
    kind, text = reader.items(data)
    make: type[pathlib.PurePath] = _PATHS[kind]
    return make(text)


def _write_address(writer: Writer, value: Any) -> ExtType:
    return ExtType(tags.ADDRESS, writer.pack([_ADDRESSES.index(type(value)), str(value)]))


def _read_address(reader: Reader, data: bytes) -> Any:
    kind, text = reader.items(data)
    if type(text) is not str:
        raise CodecError("The frame is malformed: an address is no text.")
    return _ADDRESSES[kind](text)


def _write_range(writer: Writer, value: range) -> ExtType:
    return ExtType(tags.RANGE, writer.pack([value.start, value.stop, value.step]))


def _read_range(reader: Reader, data: bytes) -> range:
    start, stop, step = reader.items(data)
    return range(start, stop, step)


SINGLE: Final[Mapping[type, Write]] = {
    complex: _write_complex,
    bytearray: _write_bytearray,
    Decimal: _write_decimal,
    Fraction: _write_fraction,
    uuid.UUID: _write_uuid,
    range: _write_range,
    **dict.fromkeys(_PATHS, _write_path),
    ipaddress.IPv4Address: _write_address,
    ipaddress.IPv6Address: _write_address,
    ipaddress.IPv4Interface: _write_address,
    ipaddress.IPv6Interface: _write_address,
    ipaddress.IPv4Network: _write_address,
    ipaddress.IPv6Network: _write_address,
}
MANY: Final[Mapping[type, WriteMany]] = {Decimal: _write_decimals, uuid.UUID: _write_uuids}
READ: Final[Mapping[int, Read]] = {
    tags.BIG_INT: _read_big_int,
    tags.COMPLEX: _read_complex,
    tags.BYTEARRAY: _read_bytearray,
    tags.DECIMAL: _read_decimal,
    tags.FRACTION: _read_fraction,
    tags.UUID: _read_uuid,
    tags.PATH: _read_path,
    tags.ADDRESS: _read_address,
    tags.RANGE: _read_range,
}
READ_MANY: Final[Mapping[int, Read]] = {tags.DECIMALS: _read_decimals, tags.UUIDS: _read_uuids}
