"""What driver and host say to each other: a letter, a number, and bytes."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Final

# --- from the driver ---
START: Final = b"s"
"""Start as many slots as the number says."""
CALL: Final = b"c"
"""Run a call, under a number: the slot and the frame."""
NEED: Final = b"w"
"""As `CALL`, for a worker that has what the call needs: the slot, the resources and the frame, as `with_needs`."""
RESOURCES: Final = b"h"
"""Say what the machines have for such calls. Answered as a call, as JSON: a dictionary for each."""
KILL: Final = b"k"
"""End the worker of a slot, should it be at the call of that number."""
PUT: Final = b"p"
"""Keep bytes for the workers: their digest, a space, the bytes. Answered as a call."""
COSTS: Final = b"o"
"""Say what the workers cost. Answered as a call, as JSON: the fields of each `Cost`."""
STOP: Final = b"q"
"""End everything in order."""

# --- from the host ---
READY: Final = b"r"
"""Connected. The number says how many CPUs the cluster has."""
FAILED: Final = b"f"
"""All is lost: the kind of error and its text, as JSON. The last message."""
UP: Final = b"u"
"""The worker of a slot is there: what it says of itself, as JSON."""
DOWN: Final = b"d"
"""The worker of a slot is gone, and another one is on its way."""
ANSWER: Final = b"a"
"""A call has ended: its answer."""
KILLED: Final = b"x"
"""A call has ended with its worker: what is known of that, as JSON."""
UNSTARTED: Final = b"n"
"""A call has not begun, and its worker is gone."""
REFUSED: Final = b"e"
"""A call has ended, and Ray could not bring its answer: why, as text."""

MISSING: Final = b"m"
"""A call has not begun, for no machine has what it needs, or Ray does not count so: the resources, and ``machines``,
what they have, or ``why``, as JSON."""

_HEAD: Final = struct.Struct("!cQ")
_SLOT: Final = struct.Struct("!I")


class Line:
    """One end of the connection between driver and host. Any thread may send; one receives.

    Args:
        connection: Of the standard library.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, kind: bytes, number: int = 0, body: bytes = b"") -> None:
        """Say something. Raises `OSError` when nobody is there any more."""
        with self._lock:
            self._connection.send_bytes(_HEAD.pack(kind, number) + body)

    def receive(self) -> tuple[bytes, int, bytes]:
        """What the other one says next. Raises `EOFError` or `OSError` when nobody is there any more."""
        data = self._connection.recv_bytes()
        kind, number = _HEAD.unpack_from(data)
        return kind, number, data[_HEAD.size :]

    def poll(self, seconds: float) -> bool:
        """Whether there is something to receive, or nobody there any more, within so many seconds."""
        return self._connection.poll(seconds)

    def close(self) -> None:
        """Say nothing more."""
        self._connection.close()


def with_slot(slot: int, frame: bytes) -> bytes:
    """The body of a `CALL`."""
    return _SLOT.pack(slot) + frame


def with_needs(slot: int, resources: Mapping[str, float], frame: bytes) -> bytes:
    """The body of a `NEED`."""
    said = json.dumps(resources).encode()
    return with_slot(slot, _SLOT.pack(len(said)) + said + frame)


def needs_of(body: bytes) -> tuple[dict[str, float], bytes]:
    """The resources and the frame of a `NEED`."""
    length, said = slot_of(slot_of(body)[1])
    return json.loads(said[:length]), said[length:]


def slot_of(body: bytes) -> tuple[int, bytes]:
    """The slot and the frame of a `CALL`."""
    return _SLOT.unpack_from(body)[0], body[_SLOT.size :]
