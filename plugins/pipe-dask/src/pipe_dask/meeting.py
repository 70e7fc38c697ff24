"""Who answers at an address, before Dask's client goes there.

The client waits without end for somebody who takes its connection and says nothing, and allocates as many bytes as the
first eight of another protocol amount to. So the first words are exchanged here, and what goes wrong gets its reason.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import Any, Final

from distributed.comm.addressing import parse_address, parse_host_port
from distributed.comm.core import connect
from tornado.ioloop import IOLoop

from pipe_core import BackendLost

_HANDSHAKE: Final = 1.0
"""Seconds that the first words may take longer than the connection, so that Dask can tell why there is none."""
_MARGIN: Final = 1.0
"""Seconds after which the thread that asks is left alone: the system looks up names as long as it likes."""
_UNREACHABLE: Final = (errno.ENETUNREACH, errno.EHOSTUNREACH)
_HERE: Final = "inproc://"
_START: Final = "A scheduler says its address when it starts: 'Scheduler at: ...'."


def meet(address: str, how: Mapping[str, Any], timeout: float) -> None:
    """Make sure that a scheduler answers at *address*.

    Args:
        address: As Dask wants it.
        how: What Dask's `Security` gives for connections.
        timeout: Seconds until somebody must have taken the connection.

    Raises:
        BackendLost: No scheduler answers; says who does, and what may be the reason.
    """
    answer: concurrent.futures.Future[Any] = concurrent.futures.Future()
    threading.Thread(target=_ask, args=(address, how, timeout, answer), name="pipe-dask-meeting", daemon=True).start()
    try:
        who = answer.result(timeout + _HANDSHAKE + _MARGIN)
    except Exception as error:
        raise BackendLost(f"No Dask scheduler answers at {address}: {_why(address, error, timeout)}") from error
    if not isinstance(who, dict) or "workers" not in who:
        raise BackendLost(f"No Dask scheduler answers at {address}: {_another(who)} {_START}")


def _ask(address: str, how: Mapping[str, Any], timeout: float, answer: concurrent.futures.Future[Any]) -> None:
    loop = IOLoop(make_current=False)
    try:
        who = loop.run_sync(lambda: _identity(address, how, timeout))
    except Exception as error:
        _close(loop)
        answer.set_exception(error)
    else:
        _close(loop)
        answer.set_result(who)


def _close(loop: IOLoop) -> None:
    loop.close(all_fds=True)  # also connections that Dask has forgotten, as it does when TLS cannot begin


async def _identity(address: str, how: Mapping[str, Any], patience: float) -> Any:
    reach: Any = connect
    async with asyncio.timeout(patience + _HANDSHAKE):
        try:
            comm = await reach(address, timeout=patience, **how)
        except OSError as error:
            # What stands behind a timeout is that the attempt was cancelled, or nothing.
            if not address.startswith(_HERE) and any(isinstance(cause, TimeoutError) for cause in _causes(error)):
                await _try_plainly(address)
            raise
        try:
            await comm.write({"op": "identity", "n_workers": 0, "reply": True})
            return await comm.read()
        finally:
            comm.abort()


async def _try_plainly(address: str) -> None:
    """Raises the reason why there is no connection, where the system knows one.

    Dask tries again and again, and tells of its last attempt only, which may just have had too little time.
    """
    try:
        async with asyncio.timeout(_HANDSHAKE / 2):
            _, stream = await asyncio.open_connection(*parse_host_port(parse_address(address)[1]))
        stream.transport.abort()
    except TimeoutError:
        pass


def _why(address: str, error: BaseException, patience: float) -> str:
    """What stands behind *error*, and what to do about it."""
    if isinstance(error, TimeoutError):  # of the first words
        return (
            "somebody takes the connection and says nothing. Either the scheduler hangs, or this is the port of "
            f"something else, which waits for its own protocol (Dask's dashboard, a web server, a proxy). {_START}"
        )
    causes = _causes(error)
    known = next((text for cause in causes if (text := _no_way(cause, patience))), None)
    if known is not None:
        return known
    if isinstance(error, OSError):
        return (
            f"the connection ends before a word is said ({causes[-1]}). Is it a scheduler with TLS (tls://), or a "
            f"proxy with nobody behind it? {_START}"
        )
    if address.startswith(_HERE):
        return f"{error}. Such an address leads to a scheduler in this process only."
    said = f"{type(error).__name__}{f': {error}' if str(error) else ''}"
    likely = "a scheduler without TLS" if address.startswith(("tls://", "wss://")) else "one of another version of Dask"
    return (
        f"something answers, and not in Dask's protocol ({said} when it was read). This is the port of something else "
        f"(Dask's dashboard, a web server, a proxy), or {likely}. {_START}"
    )


def _no_way(cause: BaseException, patience: float) -> str | None:
    """Why there is no connection, where *cause* says it."""
    if isinstance(cause, socket.gaierror):
        return f"the host's name leads nowhere ({cause}). Is it spelled as this machine knows it?"
    if isinstance(cause, ConnectionRefusedError):
        tried = f"{cause}; tried for {patience:g} s"
        return f"nobody listens there: it is refused ({tried}). Is it running, on this port? {_START}"
    if isinstance(cause, ssl.SSLError):
        return (
            f"TLS fails ({cause}). Either one of the two sides has no TLS, or they do not trust each other's "
            "certificates: compare tls_ca, tls_cert and tls_key with the scheduler's."
        )
    if isinstance(cause, TimeoutError) or (isinstance(cause, OSError) and cause.errno in _UNREACHABLE):
        said = f" ({cause})" if str(cause) else ""
        return (
            f"nobody took the connection within {patience:g} s{said}. The host is down, it is another one, or a "
            "firewall is in the way. Try the address from this machine with a tool such as nc; timeout= waits longer."
        )
    return None


def _causes(error: BaseException) -> list[BaseException]:
    """*error*, and what Dask has wrapped in it."""
    chain: list[BaseException] = []
    found: BaseException | None = error
    while found is not None:
        chain.append(found)
        found = found.__cause__
    return chain


def _another(who: Any) -> str:
    if isinstance(who, dict) and ("type" in who or "status" in who):
        return "what answers is another part of a Dask cluster, such as a worker. Give the scheduler's address."
    return "something answers, but not as a scheduler does. This is the port of something else."
