"""Topics as sinks: messages that are sent as they come, and confirmed at the commit."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from typing import Final, Literal

from pipe_core import OptionsError, SinkError, SourceError, SourceNotFoundError
from pipe_core.kernel.contracts import Mode
from pipe_kafka.encoder import KafkaEncoder, Payload
from pipe_kafka.options import KafkaOptions
from pipe_kafka.place import Place
from pipe_kafka.sender import Sender
from pipe_kafka.topic_reader import TopicReader

_MOST_BYTES: Final = 1_000_000
"""What a producer and a broker take where nobody has said more."""
_HEADER_BYTES: Final = 512


class KafkaSink:
    """Appends to a topic.

    Each message has the header ``pipe-key``: the run, and its number among what the run has written, from 0 on.

    Args:
        place: The topic.
        options: How to write.
    """

    def __init__(self, place: Place, options: KafkaOptions) -> None:
        self._place = place
        self._options = options
        self._run = options.run or secrets.token_hex(8)
        self._number = 0
        self._sender: Sender | None = None
        most = options.config.get("message.max.bytes", _MOST_BYTES)
        try:
            self._most = int(most) - _HEADER_BYTES
        except ValueError:
            text = f"'message.max.bytes' in the option config must be a number, and is {most!r}."
            raise OptionsError(text, problems={"config": "'message.max.bytes' is no number"}) from None

    @property
    def name(self) -> str:
        """The servers and the topic."""
        return self._place.name

    @property
    def delivery(self) -> Literal["exactly-once", "at-least-once"]:
        """Exactly once in transactions, for consumers that read what is committed; else at least once."""
        return "at-least-once" if self._options.transactional_id is None else "exactly-once"

    def exists(self) -> bool:
        """Whether there are messages in the topic. Raises `SinkError` when no broker answers."""
        try:
            with contextlib.closing(TopicReader(self._place, self._options)) as reader:
                return any(bounds.end > bounds.begin for bounds in reader.bounds().values())
        except SourceNotFoundError:
            return False
        except SourceError as error:
            raise SinkError(str(error).replace("be read", "be asked", 1), sink=self.name) from None

    def encoder(self) -> KafkaEncoder:
        """What workers need to make messages."""
        return KafkaEncoder(self._options.value, self._options.key, self._most)

    def count_from(self, count: int) -> None:
        """Before `open`: another process of this run has written *count* messages. Theirs are the numbers before."""
        self._number = count

    def open(self, mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Connect.

        Raises:
            SinkError: The mode is not ``append``, no broker answers, or there is no such topic.
            OptionsError: A setting in `config` does not exist.
        """
        self._check_mode(mode)
        self._connect()

    def write(self, payload: Payload, count: int) -> None:
        """Send the next messages. They are visible as soon as a broker has them, in a transaction at the commit."""
        sender = self._opened
        for key, value in zip(*payload, strict=True):
            sender.send(key, value, self._mark(self._number))
            self._number += 1

    def commit(self) -> None:
        """Wait until the brokers have confirmed all of them. Raises `SinkError`."""
        self._opened.commit()

    def abort(self, keep: bool = False) -> str | None:
        """Send no more. In a transaction none is shown; without one nothing can be taken back."""
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()
        return None

    def close(self) -> None:
        """Close the connection. What was neither committed nor aborted is aborted."""
        self.abort()

    # --- helpers ---

    def _check_mode(self, mode: Mode) -> None:
        if mode != "append":
            raise SinkError(
                f"{self.name} cannot be written with mode='{mode}': a topic is only appended to. Say mode='append'.",
                sink=self.name,
            )

    def _connect(self) -> Sender:
        sender = Sender(self._place, self._options)
        try:
            sender.connect()
        except BaseException:
            sender.close()
            raise
        self._sender = sender
        return sender

    def _mark(self, number: int) -> str:
        return f"{self._run}:{number}"

    @property
    def _opened(self) -> Sender:
        if self._sender is None:
            raise SinkError(f"{self.name} is not open for writing.", sink=self.name)
        return self._sender
