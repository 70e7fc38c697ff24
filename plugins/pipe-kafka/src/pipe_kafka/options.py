"""What a person can say about a topic. Imports no client."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

READING: Final = frozenset({"include", "start", "group", "malformed", "max_record_bytes", "max_fields", "max_depth"})
"""Options that mean something for a source only."""
WRITING: Final = frozenset({"key", "partitioner", "run", "transactional_id", "staging"})
"""Options that mean something for a sink only."""
OURS: Final[Mapping[str, str]] = {
    "bootstrap.servers": "name the servers in the URL, or as the option servers",
    "transactional.id": "it is the option transactional_id",
    "group.id": "it is the option group",
    "partitioner": "it is the option partitioner",
    "enable.idempotence": "it is always on",
    **dict.fromkeys(
        ("enable.auto.commit", "enable.auto.offset.store", "enable.partition.eof", "auto.offset.reset"),
        "pipe keeps the offsets itself",
    ),
}
"""Settings of librdkafka that are not for `config`, and why."""
_SECRET: Final = ("password", "secret", "token", "key.pem", "jaas", "oauthbearer.config", "private")

Included = Literal["key", "partition", "offset", "timestamp", "headers"]


def _names(value: Any) -> Any:
    """Names as a URL has them, with commas between."""
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


def _offsets(value: Any) -> Any:
    """Offsets as a URL has them: ``0:17,1:4``."""
    if isinstance(value, str) and all(part.replace(":", "", 1).isdecimal() for part in value.split(",")):
        pairs = [part.partition(":") for part in value.split(",")]
        return {partition: offset for partition, colon, offset in pairs if colon}
    return value


class KafkaOptions(BaseModel):
    """Options of `kafka`. In a URL they stand behind the ``?``: ``kafka://broker:9092/orders?value=text``.

    Attributes:
        servers: ``host:port``, several with commas between, where the target is only the name of a topic.
        value: What the value of a message is: ``json``, the record; ``text`` or ``bytes``, its field ``value``.
        include: Reading: what else of a message becomes a field of its record, called ``kafka_key`` and so on.
        start: Reading: where to begin: ``earliest``, ``latest``, a time (of UTC where it does not say), or offsets by
            partition; partitions that are not named begin at their earliest.
        group: Following: the consumer group that is told how far the stream has come, for tools that watch its lag.
        malformed: Following: a message that cannot be read is left out and told to the log (``skip``), or ends the
            stream (``error``). A bounded read always rejects it.
        key: Writing: the field that is the key of the message, too.
        partitioner: Writing: how the key chooses the partition, see librdkafka.
        run: Writing: what the header ``pipe-key`` begins with; the same for a run that is made again. Not given: an
            arbitrary id.
        transactional_id: Writing: the id under which messages are written in transactions: a commit shows all of them,
            or none, to consumers that read what is committed. No two writers at a time may have the same.
        staging: Writing: a folder where messages are kept until the commit, so that a later process can go on with
            them. Needs `transactional_id`.
        config: Settings of librdkafka, such as ``security.protocol``. Shown nowhere.
        timeout: Seconds that may pass without an answer.
        max_record_bytes: Reading: a larger value is rejected.
        max_fields: Reading: a record with more fields is rejected.
        max_depth: Reading: a record whose lists and objects are nested deeper is rejected.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    servers: str | None = Field(default=None, min_length=1)
    value: Literal["json", "text", "bytes"] = "json"
    include: Annotated[tuple[Included, ...], BeforeValidator(_names)] = ()
    start: Annotated[
        Literal["earliest", "latest"] | dict[int, Annotated[int, Field(ge=0)]] | datetime, BeforeValidator(_offsets)
    ] = "earliest"
    group: str | None = Field(default=None, min_length=1)
    malformed: Literal["skip", "error"] = "skip"
    key: str | None = Field(default=None, min_length=1)
    partitioner: Literal[
        "consistent_random", "consistent", "random", "murmur2", "murmur2_random", "fnv1a", "fnv1a_random"
    ] = "consistent_random"
    run: str | None = Field(default=None, min_length=1, max_length=200)
    transactional_id: str | None = Field(default=None, min_length=1)
    staging: str | None = Field(default=None, min_length=1)
    config: Mapping[str, str | int | float | bool] = Field(default={}, repr=False)
    timeout: float = Field(default=30.0, gt=0, le=600)
    max_record_bytes: int = Field(default=1 << 20, ge=1)
    max_fields: int = Field(default=4096, ge=1)
    max_depth: int = Field(default=64, ge=1, le=190)

    @field_validator("start")
    @classmethod
    def _check_zone(cls, start: Any) -> Any:
        if isinstance(start, datetime) and start.tzinfo is None:
            return start.replace(tzinfo=UTC)
        return start

    @field_validator("config")
    @classmethod
    def _check_config(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        for name in config:
            if name in OURS:
                raise ValueError(f"cannot have '{name}': {OURS[name]}")
        return config

    @model_validator(mode="after")
    def _check_staging(self) -> KafkaOptions:
        if self.staging is not None and self.transactional_id is None:
            raise ValueError("staging needs a transactional_id, which keeps a process that was killed from going on")
        if self.staging is not None and self.run is not None:
            raise ValueError("staging chooses the run itself: leave it out")
        return self

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown: the values of settings whose names say so."""
        found = (str(value) for name, value in self.config.items() if any(word in name for word in _SECRET))
        return tuple(secret for secret in found if secret)

    @property
    def milliseconds(self) -> int:
        """The timeout as librdkafka counts it."""
        return max(1, round(self.timeout * 1000))
