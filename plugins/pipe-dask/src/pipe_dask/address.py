"""Addresses of schedulers: what people write, and whether it is safe to go there."""

from __future__ import annotations

import ipaddress
from typing import Final

from pipe_core import InsecureAddressError, OptionsError
from pipe_core.kernel.urls import redacted

_PORT: Final = 8786
_LEADING: Final = {"dask": "tcp"}
"""What stands before an address instead of its protocol."""
_PLAIN: Final = ("tcp", "ws", "ucx")
_ENCRYPTED: Final = ("tls", "wss", "inproc")
_KNOWN: Final = (*_LEADING, *_PLAIN, *_ENCRYPTED)


def checked(address: str, *, tls: bool, allow_insecure: bool) -> str:
    """*address* as Dask wants it.

    Args:
        address: With or without protocol and port. ``dask://`` stands for ``tls://`` with certificates, else ``tcp://``.
        tls: Whether there are certificates.
        allow_insecure: Whether another machine may be reached without encryption.

    Raises:
        InsecureAddressError: It leads to another machine without encryption, and nobody allowed that.
        OptionsError: It has no host, no protocol of Dask's, or no possible port.
    """
    protocol, separator, place = address.rpartition("://")
    if not separator or protocol in _LEADING:
        protocol = "tls" if tls else "tcp"
    if protocol not in _KNOWN:
        known = ", ".join(f"{one}://" for one in _KNOWN)
        raise OptionsError(f"The Dask address '{redacted(address)}' begins with '{protocol}://'. Dask knows {known}.")
    if not _host(place):
        raise OptionsError(f"The Dask address '{redacted(address)}' names no host. Write tcp://host:{_PORT}.")
    if protocol != "inproc" and not _has_port(place):
        place = f"{place.rstrip('/')}:{_PORT}"
    if protocol != "inproc" and not _is_possible(place):
        raise OptionsError(
            f"The Dask address '{redacted(address)}' is none. Write tcp://host:{_PORT}, or tcp://[::1]:{_PORT}."
        )
    if protocol not in _ENCRYPTED and not _is_loopback(_host(place)) and not allow_insecure:
        raise InsecureAddressError(
            f"The Dask address '{redacted(f'{protocol}://{place}')}' leads to another machine without TLS: whoever is "
            "on the way can read the records, and whoever answers there is handed your code. Use tls:// with tls_ca, "
            "tls_cert and tls_key, or, where the network is yours alone, say allow_insecure=True."
        )
    return f"{protocol}://{place}"


def _host(place: str) -> str:
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place.partition("/")[0].partition(":")[0]


def _has_port(place: str) -> bool:
    return place.rpartition("]")[2].rpartition(":")[2].isdigit() and ":" in place.rpartition("]")[2]


def _is_possible(place: str) -> bool:
    host, _, port = place.rpartition(":")
    return 0 < int(port) < 65536 and (":" not in host or host.startswith("["))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: where it leads is known only to those who answer for it
        return False
