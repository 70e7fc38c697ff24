"""Messages on their way to a topic: sent, confirmed, and, in transactions, shown all at once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from pipe_core import SinkError
from pipe_kafka.client import Listener, producer
from pipe_kafka.options import KafkaOptions
from pipe_kafka.place import Place

HEADER: Final = "pipe-key"
"""The header that tells messages which were sent twice."""
_MAKING: Final = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.LEADER_NOT_AVAILABLE)
_LOOK: Final = 0.2
_SERVE: Final = 1000
"""Messages between two looks at what the brokers have confirmed."""


class Sender:
    """Sends messages with a producer of its own. Every wait has the limit of the options.

    Args:
        place: The topic.
        options: How to reach it.
    """

    def __init__(self, place: Place, options: KafkaOptions) -> None:
        self._place = place
        self._timeout = options.timeout
        self._listener = Listener(place, options)
        self._producer: Producer = producer(place, options, self._listener)
        self._transactional = options.transactional_id is not None
        self._began = False
        self._sent = 0
        self._confirmed = 0
        self._failure: KafkaError | None = None

    def connect(self) -> None:
        """Find the topic, and end what an earlier producer of the same transactional id has left.

        Raises:
            SinkError: No broker answers, or there is no such topic and the brokers make none.
        """
        with self._errors():
            if self._transactional:
                # First: what asks for a topic closes the connection that it came by, and this would wait for another.
                self._patiently(self._producer.init_transactions)
            patience = time.monotonic() + self._timeout
            while not self._has_topic(max(_LOOK, patience - time.monotonic())):
                if time.monotonic() > patience:
                    raise self._refused(
                        f"the brokers have no topic '{self._place.topic}' that can be written, and made none within "
                        f"{self._timeout:g} s (option timeout). Make it first"
                    )
                time.sleep(_LOOK)  # brokers that make topics by themselves take a moment for it

    def _has_topic(self, timeout: float) -> bool:
        found = self._producer.list_topics(self._place.topic, timeout=timeout).topics[self._place.topic]
        if found.error is None:
            return bool(found.partitions)
        if found.error.code() not in _MAKING and not found.error.retriable():
            raise KafkaException(found.error)
        return False

    def send(self, key: bytes | None, value: bytes | None, mark: str) -> None:
        """Hand over one message. *mark* goes into its header."""
        with self._errors():
            if self._transactional and not self._began:
                self._producer.begin_transaction()
                self._began = True
            patience = time.monotonic() + self._timeout
            while True:
                try:
                    self._producer.produce(
                        self._place.topic, value, key, headers=[(HEADER, mark.encode())], on_delivery=self._delivered
                    )
                    break
                except BufferError:
                    before = self._confirmed
                    self._producer.poll(_LOOK)
                    if self._confirmed > before:
                        patience = time.monotonic() + self._timeout
                    self._check(patience)
            self._sent += 1
            if self._sent % _SERVE == 0:
                self._producer.poll(0)
                self._check()

    def commit(self) -> None:
        """Wait until all messages are confirmed, and show them.

        Raises:
            SinkError: They are not: some may be there. In a transaction none is shown.
        """
        with self._errors():
            self._flush()
            if self._began:
                self._patiently(self._producer.commit_transaction)
                self._began = False

    def abort(self) -> None:
        """Take back what is not confirmed, and in a transaction all of it. Raises `SinkError`."""
        with self._errors():
            if self._began:
                self._began = False
                self._producer.abort_transaction(self._timeout)
            else:
                self._producer.purge()
                self._producer.poll(0)
        self._sent = self._confirmed = 0
        self._failure = None

    # --- waiting ---

    def _flush(self) -> None:
        patience, before = time.monotonic() + self._timeout, self._confirmed
        while self._producer.flush(_LOOK):
            if self._confirmed > before:
                patience, before = time.monotonic() + self._timeout, self._confirmed
            self._check(patience)
        self._check()
        if self._confirmed != self._sent:
            raise self._refused(f"only {self._confirmed:,} of {self._sent:,} messages were confirmed")

    def _patiently(self, step: Callable[[float], Any]) -> None:
        """Make one *step* of a transaction, and again while the client says that this helps."""
        patience = time.monotonic() + self._timeout
        while True:
            try:
                step(max(_LOOK, patience - time.monotonic()))
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > patience:
                    raise
            else:
                return

    def _delivered(self, error: KafkaError | None, message: Any) -> None:
        if error is None:
            self._confirmed += 1
        elif self._failure is None:
            self._failure = error

    def _check(self, patience: float | None = None) -> None:
        if self._failure is not None:
            raise KafkaException(self._failure)
        if patience is not None and time.monotonic() > patience:
            raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT, f"no answer within {self._timeout:g} s"))

    # --- errors ---

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            self._producer.poll(0)  # what led to it is told there
            raise self._refused(self._listener.reason(error, self._became())) from None

    def _became(self) -> str:
        if not self._sent:
            return ""
        if self._transactional:
            return "What was written since the last commit is not shown to consumers that read what is committed. "
        return f"{self._confirmed:,} of {self._sent:,} messages are there, and some others may be. "

    def _refused(self, reason: str) -> SinkError:
        end = "" if reason.endswith((".", "?")) else "."
        return SinkError(f"{self._place.name} cannot be written: {reason}{end}", sink=self._place.name)

    def close(self) -> None:
        """End a transaction that is open, and forget what is not confirmed."""
        with contextlib.suppress(SinkError):  # the transaction ends by itself when its time is over
            self.abort()
