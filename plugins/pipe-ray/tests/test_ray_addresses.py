"""Where `ray` goes, and where it refuses to go."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from pipe_core import InsecureAddressError, OptionsError, get_executor
from pipe_ray import RayExecutor
from pipe_ray.address import checked, connected, has_token


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("auto", "auto"),
        ("ray://localhost", "ray://localhost:10001"),
        ("ray://127.0.0.1:7", "ray://127.0.0.1:7"),
        ("ray://127.3.2.1/", "ray://127.3.2.1:10001"),
        ("ray://[::1]", "ray://[::1]:10001"),
        ("ray://[::1]:7", "ray://[::1]:7"),
    ],
)
def test_this_machine_needs_no_token(written: str, meant: str) -> None:
    assert checked(written, allow_insecure=False) == meant


@pytest.mark.parametrize("place", ["head", "head:10001", "10.0.0.7:10001", "localhost.example.org", "[fe80::1]:10001"])
def test_another_machine_needs_a_token_or_leave(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InsecureAddressError, match=r"allow_insecure=True"):
        checked(f"ray://{place}", allow_insecure=False)
    checked(f"ray://{place}", allow_insecure=True)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    checked(f"ray://{place}", allow_insecure=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(InsecureAddressError) as caught:
        checked(f"ray://{place}", allow_insecure=False)
    assert "secret" not in str(caught.value)


def test_a_token_may_be_in_a_file(no_token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_token()
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(no_token / "token"))
    assert not has_token()
    (no_token / "token").write_text("secret", "utf-8")
    assert has_token()
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    assert not has_token()
    (no_token / ".ray").mkdir()
    (no_token / ".ray" / "auth_token").write_text("secret", "utf-8")
    assert has_token()


def test_every_way_to_ask_is_refused_before_anything_is_sent() -> None:
    for ask in (
        lambda: get_executor("ray://head.example.org:10001"),
        lambda: get_executor("ray", address="ray://head.example.org:10001"),
        lambda: RayExecutor(address="ray://head.example.org:10001"),
    ):
        with pytest.raises(InsecureAddressError, match=r"allow_insecure=True"):
            ask()


@pytest.mark.parametrize("written", ["head:6379", "ray://", "tcp://head:1", "ray:///x", "ray://head/x", ""])
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(OptionsError, match="no address of a Ray cluster"):
        checked(written, allow_insecure=True)


def test_a_schema_belongs_to_the_pipe() -> None:
    with pytest.raises(OptionsError, match="schema"):
        RayExecutor(SimpleNamespace)


def test_a_process_without_ray_is_connected_to_nothing() -> None:
    assert connected() is None
