"""Addresses of clusters: what people write, and whether it is safe to go there."""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path
from typing import Any, Final

from pipe_core import InsecureAddressError, OptionsError
from pipe_core.kernel.urls import redacted

CLIENT: Final = "ray://"
_PORT: Final = 10001
_MODE: Final = "RAY_AUTH_MODE"
"""The environment variable that says whether Ray uses tokens. Ray reads it when it is imported."""


def checked(address: str, *, allow_insecure: bool) -> str:
    """*address* as Ray wants it.

    Args:
        address: ``"auto"``, or ``ray://host`` with or without a port.
        allow_insecure: Whether another machine may be reached without a token.

    Raises:
        InsecureAddressError: It leads to another machine, there is no token, and nobody allowed that.
        OptionsError: It is of another form.
    """
    if address == "auto":
        return address
    place = address.removeprefix(CLIENT).rstrip("/")
    host, port = _parts(place)
    if place == address or not host or "/" in place:
        raise OptionsError(
            f"'{redacted(address)}' is no address of a Ray cluster. Write ray://host:{_PORT}, or \"auto\" on a machine "
            "of the cluster."
        )
    if not _is_loopback(host) and not has_token() and not allow_insecure:
        raise InsecureAddressError(
            f"The Ray address '{redacted(address)}' leads to another machine, and there is no Ray token: whoever "
            "reaches that port runs code there, and whoever answers is handed your code and records. Set "
            "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN on both sides, or, where the network is yours alone, say "
            "allow_insecure=True."
        )
    return f"{CLIENT}{place}" if port else f"{CLIENT}{place}:{_PORT}"


def has_token() -> bool:
    """Whether Ray would show a token: there is one, and nobody switched tokens off."""
    if os.environ.get(_MODE, "token").lower() != "token":
        return False
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return (Path(path) if path else Path.home() / ".ray" / "auth_token").is_file()


def connected() -> str | None:
    """The address of the cluster that this process is connected to already, by whoever's doing."""
    ray: Any = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None
    client = ray.util.client.ray
    if client.is_connected():
        return f"{CLIENT}{client.get_context().client_worker._conn_str}"
    return str(ray.get_runtime_context().gcs_address)


def _parts(place: str) -> tuple[str, str]:
    if place.startswith("["):
        host, _, rest = place[1:].partition("]")
        return host, rest.removeprefix(":")
    host, _, port = place.partition(":")
    return host, port


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: where it leads is known only to those who answer for it
        return False
