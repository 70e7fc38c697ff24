"""Clients of librdkafka: how they are made, and what goes wrong in them, in words that hold no secret."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from pipe_core import OptionsError
from pipe_kafka.options import KafkaOptions
from pipe_kafka.place import Place

logger: Final = logging.getLogger("pipe_kafka")
_CLIENT_LOGGER: Final = logging.getLogger("pipe_kafka.client")
_CLIENT_LOGGER.addHandler(logging.NullHandler())  # who wants to hear each lost connection gives it a handler
READING_KILOBYTES: Final = 16 * 1024
"""What a consumer holds of messages that nobody has taken yet."""
WRITING_KILOBYTES: Final = 32 * 1024
"""What a producer holds of messages that no broker has confirmed yet."""
LEAST_TRANSACTION: Final = 60_000
_HEARD: Final = 2
"""So many of the last things that a client said went wrong are told."""
_HINTS: Final = {
    KafkaError._TRANSPORT: "Is the server right, does it run, and does 'security.protocol' in config fit it?",
    KafkaError._TIMED_OUT: "Is the server right, does it run, and does 'security.protocol' in config fit it?",
    KafkaError._ALL_BROKERS_DOWN: "Is the server right, and does it run?",
    KafkaError._MSG_TIMED_OUT: "The brokers did not confirm it in time: do they run? The option timeout is the limit.",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "Ask for access to the topic.",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "Ask for access to the group.",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "Ask for the right IdempotentWrite on the cluster.",
    KafkaError._FENCED: "Another writer has taken the same transactional_id: give each writer its own.",
    KafkaError.INVALID_PRODUCER_EPOCH: "Another writer has taken the same transactional_id: give each its own.",
}


class Listener:
    """Keeps what a client says went wrong, for the error that follows.

    Args:
        place: Where.
        options: Whose secrets are hidden.
    """

    def __init__(self, place: Place, options: KafkaOptions) -> None:
        self._servers = place.servers
        self._secrets = options.secrets
        self._heard: deque[str] = deque(maxlen=_HEARD)

    def hear(self, error: KafkaError) -> None:
        """Called by the client."""
        text = self.hidden(error.str())
        if text not in self._heard:
            self._heard.append(text)

    def reason(self, error: KafkaError | KafkaException, then: str = "") -> str:
        """What went wrong, what was heard before, what became of it, and what to do."""
        found: KafkaError = error.args[0] if isinstance(error, KafkaException) else error
        said = self.hidden(found.str()).rstrip(".")
        known = [one.rstrip(".") for one in self._heard if one.rstrip(".") not in said]
        more = f" ({'; '.join(known)})" if known else ""
        return f"{said}{more}, at {self._servers}. {then}{_HINTS.get(found.code(), '')}".rstrip()

    def hidden(self, text: str) -> str:
        """*text* without secrets, in one line."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())


def consumer(place: Place, options: KafkaOptions, listener: Listener) -> Consumer:
    """A consumer that commits nothing by itself. Raises `OptionsError` for a setting that does not exist."""
    settings = {
        "queued.max.messages.kbytes": READING_KILOBYTES,
        # Nothing is read beyond an end that is known: no broker needs to hold back an answer until more has come.
        "fetch.wait.max.ms": 20,
        **options.config,
        # A consumer must have a group; it is used only where offsets are committed.
        "group.id": options.group or "pipe-kafka",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "allow.auto.create.topics": False,
    }
    try:
        return Consumer(_settings(place, settings, listener), logger=_CLIENT_LOGGER)
    except KafkaException as error:
        raise _settings_error(error, listener) from None


def producer(place: Place, options: KafkaOptions, listener: Listener) -> Producer:
    """An idempotent producer. Raises `OptionsError` for a setting that does not exist."""
    settings = {
        "queue.buffering.max.kbytes": WRITING_KILOBYTES,
        "message.timeout.ms": options.milliseconds,
        "linger.ms": 5,
        **options.config,
        "partitioner": options.partitioner,
        "enable.idempotence": True,
    }
    if options.transactional_id is not None:
        settings.setdefault("transaction.timeout.ms", max(LEAST_TRANSACTION, options.milliseconds))
        settings["transactional.id"] = options.transactional_id
    try:
        return Producer(_settings(place, settings, listener), logger=_CLIENT_LOGGER)
    except KafkaException as error:
        raise _settings_error(error, listener) from None


def _settings(place: Place, settings: dict[str, Any], listener: Listener) -> dict[str, Any]:
    return {
        "client.id": "pipe-kafka",
        **settings,
        "bootstrap.servers": place.servers,
        "error_cb": listener.hear,
    }


def _settings_error(error: KafkaException, listener: Listener) -> OptionsError:
    said = listener.hidden(error.args[0].str()).rstrip(".")
    return OptionsError(
        f"The option 'config' of the format 'kafka' is wrong: {said}. It takes the settings of librdkafka.",
        problems={"config": said},
    )
