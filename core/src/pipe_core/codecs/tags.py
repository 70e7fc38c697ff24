"""The numbers of the wire format. A number is never used again for something else; a change means a new version.

Each is the code of a msgpack extension. Scalars carry plain data; containers carry a flat msgpack array, whose
items are plain values or extensions. No msgpack map and no array inside an array ever occurs.
"""

from __future__ import annotations

from typing import Final

WIRE_VERSION: Final = 1

# Scalars.
BIG_INT: Final = 0
COMPLEX: Final = 1
BYTEARRAY: Final = 2
DECIMAL: Final = 3
FRACTION: Final = 4
UUID: Final = 5
PATH: Final = 6
ADDRESS: Final = 7
RANGE: Final = 8
DATE: Final = 9
TIME: Final = 10
DATETIME: Final = 11
TIMEDELTA: Final = 12
TIMEZONE: Final = 13
URL: Final = 14
SECRET: Final = 15

# Containers.
LIST: Final = 32
TUPLE: Final = 33
DICT: Final = 34
SET: Final = 35
FROZENSET: Final = 36
SLICE: Final = 37

# Lists whose members have one type.
COLUMNS: Final = 48
DATES: Final = 49
DATETIMES: Final = 50
DECIMALS: Final = 51
UUIDS: Final = 52
MEMBERS: Final = 53
OBJECTS: Final = 54

# Instances of the classes in the table of types.
MEMBER: Final = 64
FLAG: Final = 65
OBJECT: Final = 66
