"""URLs and secrets of pydantic: values of classes that every program has, so that no table of types names them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final

from msgpack import ExtType
from pydantic import SecretBytes, SecretStr

from pipe_core.codecs import tags
from pipe_core.codecs.reader import Read, Reader
from pipe_core.codecs.writer import Write, Writer
from pipe_core.kernel.errors import CodecError

_NETWORKS: Final = "pydantic.networks"
_SECRETS: Final[tuple[type[SecretStr] | type[SecretBytes], ...]] = (SecretStr, SecretBytes)


@cache
def _urls() -> Mapping[str, type]:
    """The classes of URLs, by name."""
    networks = import_module(_NETWORKS)
    bases = (networks._BaseUrl, networks._BaseMultiHostUrl)
    found = {name: getattr(networks, name) for name in networks.__all__}
    return {name: kind for name, kind in found.items() if isinstance(kind, type) and issubclass(kind, bases)}


def _write_url(writer: Writer, value: Any) -> ExtType:
    return ExtType(tags.URL, writer.pack([type(value).__name__, str(value)]))


def _read_url(reader: Reader, data: bytes) -> Any:
    name, text = reader.items(data)
    kind = _urls().get(name)
    if kind is None:
        raise CodecError(f"The frame holds a {name!r}, which is no URL that this version of pydantic has.")
    return kind(text)


def _write_secret(writer: Writer, value: SecretStr | SecretBytes) -> ExtType:
    return ExtType(tags.SECRET, writer.pack([_SECRETS.index(type(value)), value.get_secret_value()]))


def _read_secret(reader: Reader, data: bytes) -> Any:
    kind, content = reader.items(data)
    if type(content) is not (str, bytes)[kind]:
        raise CodecError("The frame is malformed: a secret is neither text nor bytes.")
    return _SECRETS[kind](content)


def single() -> dict[type, Write]:
    """How a value of each of the classes is written. Without URLs where nobody has imported them: there are none."""
    urls = _urls().values() if _NETWORKS in sys.modules else ()
    return {**dict.fromkeys(_SECRETS, _write_secret), **dict.fromkeys(urls, _write_url)}


READ: Final[Mapping[int, Read]] = {tags.URL: _read_url, tags.SECRET: _read_secret}
