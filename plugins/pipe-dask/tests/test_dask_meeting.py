"""Addresses where no scheduler answers: each says so soon, says what is there, and what to do."""

import asyncio
import errno
import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from pipe_core import BackendLost, get_executor

Answer = Callable[[socket.socket], None]


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def hangs_up(connection: socket.socket) -> None:
    connection.recv(1)


def echoes(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def saying(words: bytes) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.sendall(words)
        silent(connection)

    return answer


@contextmanager
def listening(answer: Answer) -> Iterator[str]:
    """The address of something that answers every connection so."""

    def serve(connection: socket.socket) -> None:
        with closing(connection):
            try:
                answer(connection)
            except OSError:
                pass  # it was hung up on

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join(20)


def refused(address: str, **options: Any) -> str:
    with pytest.raises(BackendLost) as lost:
        get_executor(("dask", {"address": address, "timeout": 1, **options}))
    told = str(lost.value)
    assert told.startswith(f"No Dask scheduler answers at {address}: ")
    return told


def asking() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "pipe-dask-meeting"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (silent, "somebody takes the connection and says nothing"),
        (hangs_up, "the connection ends before a word is said"),
        (echoes, "something answers, but not as a scheduler does"),
        (saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "not in Dask's protocol"),
        (saying(b"SSH-2.0-OpenSSH_9.6\r\n"), "not in Dask's protocol"),
        (saying(b"\xff" * 4096), "not in Dask's protocol"),
        (saying(bytes(4096)), "not in Dask's protocol"),
    ],
    ids=["silent", "hangs up", "echo", "http", "ssh", "ones", "zeros"],
)
def test_something_else_at_the_address_is_told(answer: Answer, told: str) -> None:
    with listening(answer) as address:
        message = refused(address)
    assert told in message
    assert "Scheduler at:" in message, "where to find the right address"
    for thread in asking():
        thread.join(20)
    assert asking() == []


def test_a_web_server_at_the_address_is_told() -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        told = refused(f"tcp://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        serving.join(20)
    assert "a web server" in told


def test_a_port_where_nobody_listens_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    told = refused(f"tcp://127.0.0.1:{port}")
    assert "nobody listens there" in told
    assert "refused" in told


def test_a_last_attempt_that_was_cut_short_hides_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    async def cut(address: str, **how: Any) -> None:
        late = TimeoutError()
        late.__cause__ = asyncio.CancelledError()
        raise OSError(f"Timed out trying to connect to {address}") from late

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setattr("pipe_dask.meeting.connect", cut)
    assert "nobody listens there" in refused(f"tcp://127.0.0.1:{port}")


def test_a_host_that_takes_no_connection_is_told() -> None:
    """As one does that is down: what is sent there is dropped. Here because nobody takes those that wait."""
    waiting = []
    try:
        with socket.create_server(("127.0.0.1", 0), backlog=1) as full:
            for _ in range(8):
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(full.getsockname())
            told = refused(f"tcp://127.0.0.1:{full.getsockname()[1]}")
    finally:
        for one in waiting:
            one.close()
    assert "nobody took the connection within 1 s" in told
    assert "firewall" in told


def test_a_name_that_leads_nowhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    told = refused("tcp://no-such-host.invalid:8786", allow_insecure=True)
    assert "the host's name leads nowhere" in told


def test_a_host_without_a_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable(address: str, **how: Any) -> None:
        raise OSError(f"Timed out trying to connect to {address}") from OSError(errno.EHOSTUNREACH, "No route to host")

    monkeypatch.setattr("pipe_dask.meeting.connect", unreachable)
    told = refused("tcp://127.0.0.1:8786")
    assert "nobody took the connection within 1 s" in told
    assert "No route to host" in told


def test_the_address_of_another_process_s_scheduler_is_told() -> None:
    assert "leads to a scheduler in this process only" in refused("inproc://192.0.2.1/1/2")


def test_a_worker_s_address_is_told(cluster: Any) -> None:
    with cluster.client() as client:
        worker, *_ = client.scheduler_info()["workers"]
    assert "another part of a Dask cluster, such as a worker" in refused(worker, timeout=20)
