"""A cluster that somebody else started: it is used, compared, and left as it was."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import pytest

from pipe_core import (
    BackendLost,
    Executor,
    OptionsError,
    VersionMismatchError,
    WorkerKilled,
    get_executor,
)
from pipe_dask import DaskExecutor, shelf

LIMIT = 50


def results(futures: list[Future[Any]]) -> list[Any]:
    _done, pending = wait(futures, LIMIT)
    assert not pending
    return [future.result() for future in futures]


def wait_until(holds: Any, seconds: float = LIMIT) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def scheduler_state(dask_scheduler: Any) -> dict[str, Any]:
    return {
        "workers": sorted(dask_scheduler.workers),
        "plugins": sorted(dask_scheduler.plugins),
        "worker plugins": sorted(dask_scheduler.worker_plugins),
        "nanny plugins": sorted(dask_scheduler.nanny_plugins),
        "handlers": sorted(dask_scheduler.handlers),
        "tasks": sorted(map(str, dask_scheduler.tasks)),
        "clients": sorted(dask_scheduler.clients),
        "metadata": sorted(map(str, dask_scheduler.task_metadata)),
        "extensions": sorted(dask_scheduler.extensions),
        "allowed failures": dask_scheduler.allowed_failures,
    }


def worker_state(dask_worker: Any) -> dict[str, Any]:
    import os

    import dask.config

    from pipe_core.runtime import share

    return {
        "pid": os.getpid(),
        "plugins": sorted(dask_worker.plugins),
        "data": sorted(map(str, dask_worker.data)),
        "shared": sorted(share._pulled),
        "config": repr(dask.config.config),
        "folder": os.getcwd(),
    }


def state(client: Any) -> dict[str, Any]:
    return {"scheduler": client.run_on_scheduler(scheduler_state), **client.run(worker_state)}


@pytest.fixture
def executor(cluster: Any) -> Iterator[Executor]:
    with get_executor("dask", address=cluster.address, prefetch=2) as made:
        yield made


# --- as it was ---


@pytest.mark.parametrize("way", ["shutdown", "terminate"])
def test_it_is_left_as_it_was(cluster: Any, way: str) -> None:
    with cluster.client() as client:
        mine = client.submit(int, 3, key="mine")
        assert mine.result(timeout=LIMIT) == 3
        before = state(client)
        executor = get_executor("dask", address=cluster.address, prefetch=2)
        handle = executor.share(list(range(100)))
        assert results([executor.submit(lambda shared, n: shared.get()[n], handle, n) for n in range(50)]) == list(
            range(50)
        )
        executor.everywhere(os.getpid)
        assert state(client) != before, "the comparison sees what is there in between"
        if way == "terminate":
            executor.submit(time.sleep, 0.2)
        executor.shutdown() if way == "shutdown" else executor.terminate()
        wait_until(lambda: state(client) == before, 10)
        assert mine.result(timeout=LIMIT) == 3


def test_a_client_that_was_given_stays_open_and_clean(cluster: Any) -> None:
    with cluster.client() as client:
        before = state(client)
        with DaskExecutor(client=client) as executor:
            assert executor.slots == 2
            handle = executor.share("value")
            assert executor.submit(handle.get).result(LIMIT) == "value"
            assert executor.submit(bytes, 10_000).result(LIMIT) == bytes(10_000)
        wait_until(lambda: state(client) == before, 10)
        assert client.submit(int, 5).result(timeout=LIMIT) == 5


def test_a_client_of_the_caller_s_own_loop_is_refused(cluster: Any) -> None:
    import asyncio

    from distributed import Client

    async def main() -> None:
        make: Any = Client
        async with make(cluster.address, asynchronous=True, set_as_default=False) as client:
            with pytest.raises(OptionsError, match="not asynchronous"):
                DaskExecutor(client=client)

    asyncio.run(main())


def test_what_was_shared_goes_also_when_the_driver_is_killed(cluster: Any) -> None:
    code = (
        "import sys, time; from pipe_core import get_executor\n"
        f"executor = get_executor('dask', address={cluster.address!r})\n"
        "executor.share('a' * 1000); print('shared', flush=True); time.sleep(100)"
    )
    with cluster.client() as client:
        before = client.run_on_scheduler(scheduler_state)
        driver = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert driver.stdout is not None
        assert driver.stdout.readline() == "shared\n"
        assert client.run_on_scheduler(scheduler_state) != before
        driver.kill()
        driver.communicate(timeout=LIMIT)
        wait_until(lambda: client.run_on_scheduler(scheduler_state) == before, 10)


# --- what it must be ---


def test_it_has_as_many_slots_as_the_workers_have_threads(cluster: Any) -> None:
    with get_executor(cluster.address.replace("tcp://", "dask://")) as executor:
        assert executor.slots == 2
    with get_executor("dask", address=cluster.address, max_workers=7) as executor:
        assert executor.slots == 7


def test_no_more_calls_run_than_were_asked_for(cluster: Any, tmp_path: Path) -> None:
    """Also with a prefetch, on a cluster that has room for more."""
    notes = tmp_path / "notes"

    def work() -> None:
        import os
        import time

        file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, b"+")
        time.sleep(0.01)
        os.write(file, b"-")
        os.close(file)

    with get_executor("dask", address=cluster.address, max_workers=1, prefetch=3) as executor:
        results([executor.submit(work) for _ in range(20)])
    assert notes.read_text() == "+-" * 20


def test_two_clusters_are_two(make_cluster: Any) -> None:
    """A test of two of them would be one of the first otherwise."""
    assert make_cluster(0).address != make_cluster(0).address


def test_workers_of_other_versions_are_refused_with_a_table(make_cluster: Any, tmp_path: Path) -> None:
    """One has another version, another one cannot even import it."""
    other, none = tmp_path / "other", tmp_path / "none"
    (other / "pipe_core-9.9.9.dist-info").mkdir(parents=True)
    (other / "pipe_core-9.9.9.dist-info" / "METADATA").write_text("Name: pipe-core\nVersion: 9.9.9\n")
    (none / "pipe_core").mkdir(parents=True)
    (none / "pipe_core" / "__init__.py").write_text("raise ImportError('not installed')\n")
    cluster = make_cluster(0)
    cluster.add_worker()
    cluster.add_worker(path=str(other))
    cluster.add_worker(path=str(none))
    cluster.wait_for(3)
    with pytest.raises(VersionMismatchError, match=r"(?s)2 of 4 workers of 'dask'.*pipe-core.*9\.9\.9") as caught:
        get_executor("dask", address=cluster.address)
    assert sorted(versions.get("pipe-core", "missing") for versions in caught.value.workers.values()) == [
        "9.9.9",
        "missing",
    ]


def test_the_scheduler_needs_nothing_of_ours() -> None:
    """What it is given opens where neither package is."""
    from distributed.protocol.pickle import dumps

    given = [
        shelf.make("name", "client"),
        shelf.keeping("name", "digest", b"data"),
        shelf.clearing("name"),
    ]
    code = (
        "import sys; sys.modules['pipe_core'] = sys.modules['pipe_dask'] = None\n"
        "from distributed.protocol.pickle import loads\n"
        f"made, keep, clear = [loads(data) for data in {[dumps(one) for one in given]!r}]\n"
        "import asyncio\n"
        "class Scheduler: handlers = {}; plugins = {'name': made}\n"
        "scheduler = Scheduler(); asyncio.run(made.start(scheduler)); keep(scheduler)\n"
        "assert scheduler.handlers['name'](digest='digest') == b'data'\n"
        "made.remove_client(scheduler, 'another'); assert scheduler.plugins and scheduler.handlers\n"
        "made.remove_client(scheduler, 'client'); assert not scheduler.plugins and not scheduler.handlers\n"
        "clear(scheduler)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)


# --- tls ---


def test_certificates_open_an_encrypted_cluster(make_cluster: Any, tmp_path: Path) -> None:
    files = certificates(tmp_path)
    options = ["--tls-ca-file", files["ca"], "--tls-cert", files["cert"], "--tls-key", files["key"]]
    cluster = make_cluster(1, options=options)
    assert cluster.address.startswith("tls://")
    given = {"tls_ca": files["ca"], "tls_cert": files["cert"], "tls_key": files["key"]}
    with DaskExecutor(address=cluster.address, timeout=30, **given) as executor:
        handle = executor.share(4)
        assert executor.submit(lambda shared: -shared.get(), handle).result(LIMIT) == -4
    with pytest.raises(OptionsError, match="give tls_ca, tls_cert and tls_key"):
        DaskExecutor(address=cluster.address)
    with pytest.raises(OptionsError, match=r"certificates for tls://.*cannot be used.*No such file"):
        DaskExecutor(address=cluster.address, **{**given, "tls_key": "/no/such/key"})
    with pytest.raises(BackendLost, match=r"the connection ends before a word is said .*tls://"):
        DaskExecutor(address=cluster.address.replace("tls://", "tcp://"), timeout=5)
    (tmp_path / "other").mkdir()
    strange = certificates(tmp_path / "other")
    with pytest.raises(BackendLost, match=r"TLS fails .*compare tls_ca, tls_cert and tls_key"):
        DaskExecutor(
            address=cluster.address, tls_ca=strange["ca"], tls_cert=given["tls_cert"], tls_key=given["tls_key"]
        )


def test_a_cluster_without_tls_is_told(cluster: Any, tmp_path: Path) -> None:
    files = certificates(tmp_path)
    given = {"tls_ca": files["ca"], "tls_cert": files["cert"], "tls_key": files["key"]}
    with pytest.raises(BackendLost, match=r"TLS fails .*has no TLS|not in Dask's protocol .*a scheduler without TLS"):
        DaskExecutor(address=cluster.address.replace("tcp://", "tls://"), timeout=5, **given)


def certificates(folder: Path) -> dict[str, str]:
    """A certificate that vouches for itself."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True, timeout=50)
    return {"ca": str(cert), "cert": str(cert), "key": str(key)}


# --- deaths ---


def test_a_killer_is_blamed_when_dask_does_and_nobody_with_it(cluster: Any) -> None:
    """By its own count: a call is tried on four workers, unless somebody has set that."""

    def die() -> None:
        import os

        os._exit(1)

    with get_executor("dask", address=cluster.address, prefetch=1, timeout=LIMIT) as executor:
        before = [executor.submit(abs, -i) for i in range(4)]
        dying = executor.submit(die)
        behind = [executor.submit(abs, -i) for i in range(4)]
        error = dying.exception(LIMIT)
        assert isinstance(error, WorkerKilled)
        assert "4 workers of 'dask' ended" in str(error)
        assert results([*before, *behind]) == [*range(4), *range(4)]


def test_of_calls_that_die_together_only_the_killer_is_blamed(make_cluster: Any) -> None:
    """One worker, which has the calls behind the killer in hand; two deaths are enough for Dask here."""
    cluster = make_cluster(1, failures=1)

    def die() -> None:
        import os

        os._exit(1)

    with get_executor("dask", address=cluster.address, prefetch=3, timeout=LIMIT) as executor:
        dying = executor.submit(die)
        innocent = [executor.submit(abs, -i) for i in range(3)]
        assert results(innocent) == [0, 1, 2]
        assert isinstance(dying.exception(LIMIT), WorkerKilled)


def test_a_cluster_whose_workers_are_gone_is_lost(make_cluster: Any) -> None:
    cluster = make_cluster(1, nanny=False)
    cluster.wait_for(1)
    with get_executor("dask", address=cluster.address, timeout=3) as executor:
        assert executor.submit(abs, -1).result(LIMIT) == 1
        cluster.workers[0].kill()
        futures = [executor.submit(abs, -i) for i in range(5)]
        errors = [future.exception(LIMIT) for future in futures]
        assert {type(error) for error in errors} <= {BackendLost, type(None)}
        assert "has had no worker for 3 seconds" in str(executor.submit(abs, 1).exception(LIMIT))


@pytest.mark.parametrize("way", ["killed", "stopped"])
def test_a_scheduler_that_is_gone_is_told_to_all_who_wait(make_cluster: Any, way: str) -> None:
    """Killed, or there and silent. Within fifteen seconds as it comes, sooner where one says so."""
    cluster = make_cluster(1)
    cluster.wait_for(1)
    executor = get_executor("dask", address=cluster.address, timeout=3, prefetch=1)
    try:
        futures = [executor.submit(time.sleep, 60) for _ in range(4)]
        cluster.scheduler.send_signal(signal.SIGKILL if way == "killed" else signal.SIGSTOP)
        _done, pending = wait(futures, 15)
        assert not pending
        assert {type(future.exception(0)) for future in futures} == {BackendLost}
        with pytest.raises(BackendLost):
            executor.share(1)
    finally:
        executor.shutdown()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # Dask's client breaks at it
def test_a_scheduler_whose_port_is_another_s_now_is_lost(make_cluster: Any) -> None:
    """What answers there is no message of Dask's, and raises what nobody would expect."""
    cluster = make_cluster(1)
    cluster.wait_for(1)
    host, port = cluster.address.removeprefix("tcp://").split(":")
    executor = get_executor("dask", address=cluster.address, timeout=3)
    try:
        future = executor.submit(time.sleep, 60)
        cluster.scheduler.kill()
        cluster.scheduler.wait()
        with socket.create_server((host, int(port))) as listener:
            threading.Thread(target=greet, args=(listener,), daemon=True).start()
            assert isinstance(future.exception(LIMIT), BackendLost)
            listener.shutdown(socket.SHUT_RDWR)
    finally:
        executor.shutdown()


def greet(listener: socket.socket) -> None:
    """Say to everybody what is not Dask's."""
    held = []
    try:
        while True:
            held.append(listener.accept()[0])
            held[-1].sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
    except OSError:
        for connection in held:
            connection.close()
