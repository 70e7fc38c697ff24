"""What may be said to the executor, and what it refuses before it goes anywhere."""

import subprocess
import sys
from typing import Any

import pytest

from pipe_core import InsecureAddressError, OptionsError, get_executor
from pipe_dask import DaskExecutor
from pipe_dask.address import checked


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("tcp://127.0.0.1:8786", "tcp://127.0.0.1:8786"),
        ("127.0.0.1:1234", "tcp://127.0.0.1:1234"),
        ("localhost", "tcp://localhost:8786"),
        ("dask://localhost:99", "tcp://localhost:99"),
        ("dask://localhost/", "tcp://localhost:8786"),
        ("tcp://[::1]:8786", "tcp://[::1]:8786"),
        ("tcp://[::1]", "tcp://[::1]:8786"),
        ("tls://far.example:8786", "tls://far.example:8786"),
        ("wss://far.example:443", "wss://far.example:443"),
        ("inproc://10.0.0.1/1/2", "inproc://10.0.0.1/1/2"),
    ],
)
def test_an_address_is_understood(written: str, meant: str) -> None:
    assert checked(written, tls=False, allow_insecure=False) == meant


def test_certificates_mean_tls() -> None:
    assert checked("dask://far.example", tls=True, allow_insecure=False) == "tls://far.example:8786"
    assert checked("far.example:1", tls=True, allow_insecure=False) == "tls://far.example:1"


@pytest.mark.parametrize(
    "address",
    [
        "tcp://10.0.0.5:8786",
        "10.0.0.5",
        "dask://far.example:8786",
        "far.example:8786",
        "tcp://[2001:db8::1]:8786",
        "ws://far.example:80",
        "tcp://0.0.0.0:8786",
        "tcp://localhost.far.example:8786",
        "tcp://127.0.0.1.far.example:8786",
    ],
)
def test_another_machine_needs_tls_or_leave(address: str) -> None:
    with pytest.raises(InsecureAddressError, match=r"say allow_insecure=True"):
        checked(address, tls=False, allow_insecure=False)
    assert checked(address, tls=False, allow_insecure=True)


def test_certificates_do_not_excuse_an_address_that_says_tcp() -> None:
    with pytest.raises(InsecureAddressError):
        checked("tcp://10.0.0.5:8786", tls=True, allow_insecure=False)


@pytest.mark.parametrize("way", ["class", "name", "url"])
def test_an_insecure_address_is_refused_before_anybody_is_asked(way: str) -> None:
    def start() -> Any:
        if way == "class":
            return DaskExecutor(address="tcp://192.0.2.1:8786")
        if way == "name":
            return get_executor("dask", address="192.0.2.1")
        return get_executor("dask://192.0.2.1:8786")

    with pytest.raises(InsecureAddressError, match=r"'tcp://192.0.2.1:8786'.*allow_insecure=True"):
        start()


@pytest.mark.parametrize("address", ["tcp://", "dask://:8786", "", ":8786"])
def test_an_address_without_a_host_is_refused(address: str) -> None:
    with pytest.raises(OptionsError, match="names no host"):
        checked(address, tls=False, allow_insecure=False)


@pytest.mark.parametrize("address", ["tcp://host:99999", "tcp://host:0", "host:99:7", "tcp://2001:db8::1:8786"])
def test_an_address_that_cannot_be_is_refused(address: str) -> None:
    with pytest.raises(OptionsError, match=r"is none\. Write tcp://host:8786, or tcp://\[::1\]:8786"):
        checked(address, tls=False, allow_insecure=True)


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(OptionsError, match=r"begins with 'http://'\. Dask knows dask://, tcp://"):
        checked("http://localhost:8786", tls=False, allow_insecure=True)


def test_a_schema_is_refused_and_told_where_it_goes() -> None:
    with pytest.raises(OptionsError, match=r"executor=DaskExecutor\(\)"):
        DaskExecutor(int)


@pytest.mark.parametrize("options", [{"max_workers": 0}, {"compression": "zip"}, {"workers": 2}, {"timeout": 0}])
def test_a_wrong_option_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionsError, match=next(iter(options))):
        get_executor("dask", **options)


def test_an_address_and_a_client_are_one_too_many() -> None:
    with pytest.raises(OptionsError, match="an address or a client, not both"):
        get_executor("dask", address="tcp://127.0.0.1:1", client=object())


def test_something_else_as_a_client_is_refused() -> None:
    with pytest.raises(OptionsError, match=r"distributed\.Client"):
        get_executor("dask", client=object())


def test_the_plugin_imports_neither_dask_nor_its_backend() -> None:
    code = (
        "import sys, pipe_dask, pipe_dask.plugin; pipe_dask.plugin.pipe_executor('dask'); "
        "sys.exit(any(name.partition('.')[0] in ('dask', 'distributed', 'tornado') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=50).returncode == 0
