"""Topics as sinks that a later process can go on with: messages stay in a file until the commit."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pipe_core import SinkError, SourceError
from pipe_core.formats.staging import gone, known_states, writing_errors
from pipe_core.kernel.contracts import Mode
from pipe_kafka.encoder import Payload
from pipe_kafka.options import KafkaOptions
from pipe_kafka.place import Place
from pipe_kafka.sender import HEADER
from pipe_kafka.sink import KafkaSink
from pipe_kafka.spool import Spool
from pipe_kafka.topic_reader import Bounds, TopicReader

SUFFIX: Final = ".messages"
_LOOK: Final = 0.2


class StagedKafkaSink(KafkaSink):
    """Appends to a topic what it has kept in a file until the commit.

    A transaction ends with its producer, so that nobody can go on in one. What can be gone on with is the file: a later
    process first ends the transaction of the one that was killed, then looks in the topic, by the header ``pipe-key``,
    which of the messages are there, and sends the others.

    Args:
        place: The topic.
        options: How to write, with the folder for the file.
    """

    def __init__(self, place: Place, options: KafkaOptions) -> None:
        super().__init__(place, options)
        self._folder = Path(options.staging or "").expanduser()
        self._spool: Spool | None = None
        self._kept = False
        self._there: set[int] = set()

    @property
    def resumable(self) -> bool:
        """True."""
        return True

    def open(self, mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Connect, and look at the folder. Raises `SinkError`."""
        self._check_mode(mode)
        with writing_errors(str(self._folder)):
            if not os.access(self._folder, os.W_OK):
                os.listdir(self._folder)  # which tells why
                raise PermissionError(13, os.strerror(13))
        self._connect()

    def write(self, payload: Payload, count: int) -> None:
        """Keep the next messages."""
        self._check_open()
        with writing_errors(str(self._folder)):
            for key, value in zip(*payload, strict=True):
                self._current.add(key, value)

    def commit(self) -> None:
        """Send what is kept and not there, in one transaction. Raises `SinkError`."""
        sender, spool = self._opened, self._spool
        if spool is None:
            return
        for number, (key, value) in enumerate(spool.messages(), self._number):
            if number not in self._there:
                sender.send(key, value, self._mark(number))
        sender.commit()
        self._number += spool.count
        self._forget()

    def checkpoint(self, final: bool = False) -> Mapping[str, Any]:
        """Make durable what is kept. The state with which `resume` goes on, wherever the folder is to be seen."""
        self._check_open()
        with writing_errors(str(self._folder)):
            spool = self._current
            spool.sync()
        with self._told(), self._reader("read_committed") as reader:
            begin = {str(one): bounds.end for one, bounds in reader.bounds().items()}
        self._kept = True
        return {
            "topic": self._place.topic,
            "run": self._run,
            "file": spool.path.name,
            "number": self._number,
            "count": spool.count,
            "length": spool.length,
            "crc": spool.crc,
            "begin": begin,
        }

    def resume(self, state: Mapping[str, Any], mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Go on at *state*: end the transaction of its process, and find out what of it is in the topic.

        Raises:
            SinkError: The file is gone, and the messages are not all in the topic; or the topic does not keep what
                came to it since, so that nobody can tell.
        """
        self._check_mode(mode)
        with known_states(self.name):
            if state["topic"] != self._place.topic:
                raise ValueError("another topic")
            self._run, self._number = str(state["run"]), int(state["number"])
            begin = {int(one): int(offset) for one, offset in state["begin"].items()}
            count, name = int(state["count"]), str(state["file"])
            if name != self._file_name:
                raise ValueError("another file")
            facts = count, int(state["length"]), int(state["crc"])
        self._connect()
        with writing_errors(str(self._folder)):
            self._spool = Spool.found(self._folder / name, *facts)
        self._kept = True
        self._there = set(self._found(begin))
        if self._spool is None and not self._there.issuperset(range(self._number, self._number + count)):
            raise gone(self.name, f"there is no file '{name}' in the folder '{self._folder}' that has them")
        if self._spool is None:
            self._number += count

    def abort(self, keep: bool = False) -> str | None:
        """Send nothing. With *keep*, the file stays; its place is returned."""
        spool, self._spool = self._spool, None
        if spool is not None and keep:
            spool.close()
        elif spool is not None:
            spool.remove()
        super().abort()
        return str(spool.path) if spool is not None and keep else None

    def close(self) -> None:
        """Close the connection. What was checkpointed stays; what else was not committed is removed."""
        if self._kept and self._spool is not None:
            self._spool.close()
            self._spool = None
        self.abort()

    # --- the file ---

    @property
    def _file_name(self) -> str:
        digest = hashlib.sha256(f"{self._place.topic}\0{self._run}".encode()).hexdigest()[:16]
        return f"{digest}-{self._number}{SUFFIX}"

    @property
    def _current(self) -> Spool:
        if self._spool is None:
            self._spool = Spool(self._folder / self._file_name)
        return self._spool

    def _forget(self) -> None:
        spool, self._spool, self._kept = self._spool, None, False
        if spool is not None:
            with writing_errors(str(self._folder)):
                spool.remove()

    def _check_open(self) -> None:
        assert self._opened is not None

    # --- the topic ---

    def _found(self, begin: Mapping[int, int]) -> Iterator[int]:
        """The numbers of the messages of this run that are in the topic from *begin* on."""
        with self._told(), self._reader("read_uncommitted") as reader:
            whole = reader.bounds()
        with self._told(), self._reader("read_committed") as reader:
            for partition, bounds in self._settled(reader, whole).items():
                first = begin.get(partition, 0)
                if not bounds.begin <= first <= bounds.end:
                    raise reader.gone(partition, first, bounds)
                for messages in reader.messages(partition, first, bounds.end):
                    for message in messages:
                        yield from self._numbers(message)

    def _settled(self, reader: TopicReader, whole: Mapping[int, Bounds]) -> Mapping[int, Bounds]:
        """What is in the topic, once nothing of it is hidden behind a transaction of somebody else that is open."""
        patience = time.monotonic() + self._options.timeout
        while any((there := reader.bounds())[one].end < bounds.end for one, bounds in whole.items()):
            if time.monotonic() > patience:
                raise reader.refused("another writer has had a transaction open for long. Try again when it has ended")
            time.sleep(_LOOK)
        return there

    def _numbers(self, message: Any) -> Iterator[int]:
        for name, value in message.headers() or ():
            run, _, number = (value or b"").rpartition(b":")
            if name == HEADER and run == self._run.encode() and number.isdigit():
                yield int(number)

    @contextlib.contextmanager
    def _reader(self, isolation: str) -> Iterator[TopicReader]:
        config = {**self._options.config, "isolation.level": isolation}
        options = self._options.model_copy(update={"config": config})
        with contextlib.closing(TopicReader(self._place, options)) as reader:
            yield reader

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except SourceError as error:
            raise SinkError(
                f"Nobody can tell what of this run is in the topic already. {error}", sink=self.name
            ) from None
