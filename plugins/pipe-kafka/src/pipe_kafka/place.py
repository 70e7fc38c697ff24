"""Places: which topic of which cluster, and what to call it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from pydantic import ValidationError

from pipe_core import OptionsError
from pipe_core.kernel.index import suggestion
from pipe_kafka.options import KafkaOptions

_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_EXAMPLE: Final = "kafka://broker:9092/orders"


@dataclass(frozen=True, slots=True)
class Place:
    """A topic.

    Attributes:
        servers: ``host:port`` of brokers to begin with, with commas between.
        topic: Its name.
    """

    servers: str
    topic: str

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"kafka://{self.servers}/{self.topic}"


def parse(target: Any, options: KafkaOptions) -> tuple[Place, KafkaOptions]:
    """The topic that *target* names, and the options with those of its URL.

    Raises:
        OptionsError: It names no topic or no servers, or an option is wrong or said twice.
    """
    try:
        text = os.fsdecode(target)
    except TypeError:
        kind = type(target).__name__
        text = f"The format 'kafka' takes a URL or the name of a topic, not {kind}."
        raise OptionsError(text, problems={"target": f"is of the type {kind}"}) from None
    scheme, separator, rest = text.partition("://")
    if not separator:
        return Place(_servers(options.servers), _topic(text)), options
    if scheme != "kafka":
        raise _wrong(f"knows no '{scheme}://', only {_EXAMPLE}", f"has the scheme {scheme}")
    address, _, query = rest.partition("?")
    servers, _, topic = address.partition("/")
    if "@" in address:  # whoever repeated it here would show it
        raise _wrong(
            "takes no user and no password in its URL: say them as 'sasl.username' and 'sasl.password' in the option "
            "config",
            "has a user",
        )
    if servers and options.servers is not None:
        raise _twice("servers")
    return Place(_servers(servers or options.servers), _topic(unquote(topic))), _with_query(options, query)


def _servers(servers: str | None) -> str:
    if servers is None:
        raise _wrong(f"needs servers: {_EXAMPLE}, or the option servers", "names no servers")
    found = [one.strip() for one in servers.split(",")]
    if not all(re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:/@\[\]]+)(:\d{1,5})?", one) for one in found):
        raise _wrong(f"takes servers as host:port, with commas between: {_EXAMPLE}", "has no host:port")
    return ",".join(found)


def _topic(topic: str) -> str:
    if topic in (".", "..") or not _TOPIC.fullmatch(topic):
        raise _wrong(
            f"needs the name of a topic behind the servers, of letters, digits, '.', '_' and '-': {_EXAMPLE}",
            "names no topic",
        )
    return topic


def _with_query(options: KafkaOptions, query: str) -> KafkaOptions:
    given, said = options.model_dump(exclude_unset=True), parse_qsl(query, keep_blank_values=True)
    for at, (name, _) in enumerate(said):
        if name not in KafkaOptions.model_fields:
            raise OptionsError(
                f"There is no option '{name}' of the format 'kafka'.{suggestion(name, KafkaOptions.model_fields)} "
                f"Its options: {', '.join(KafkaOptions.model_fields)}.",
                problems={name: "there is no such option"},
            )
        if name == "config":
            text = "The option 'config' cannot stand in a URL. Say it beside the URL."
            raise OptionsError(text, problems={name: "cannot stand in a URL"})
        if name in given or any(name == other for other, _ in said[:at]):
            raise _twice(name)
    try:
        return KafkaOptions.model_validate({**given, **dict(said)})
    except ValidationError as error:
        problems = {str(one["loc"][0]) if one["loc"] else "": one["msg"] for one in error.errors(include_input=False)}
        told = "; ".join(f"{name}: {why}" if name else why for name, why in problems.items())
        raise OptionsError(f"Wrong options in the URL of a topic: {told}.", problems=problems) from None


def _twice(name: str) -> OptionsError:
    text = f"The option '{name}' is given twice. Say it once: in the URL, or beside it."
    return OptionsError(text, problems={name: "is given twice"})


def _wrong(what: str, problem: str) -> OptionsError:
    return OptionsError(f"The format 'kafka' {what}.", problems={"target": problem})
