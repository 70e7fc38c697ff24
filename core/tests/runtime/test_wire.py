from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipe_core import CodecError, RemoteError
from pipe_core.runtime.wire import open_answer, open_error, pack_call, pack_error, run_frame

PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary(max_size=9)
TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
KINDS = (ValueError, KeyError, TypeError, RuntimeError, ArithmeticError, LookupError, Exception, SystemExit)


class Plain(Exception):
    """Is made again from its arguments."""


class Two(Exception):
    def __init__(self, first: object, second: object) -> None:
        super().__init__(f"{first} and {second}")


class Refusing(Exception):
    made = 0

    def __init__(self, text: str) -> None:
        type(self).made += 1
        if type(self).made > 1:
            raise RuntimeError("only once")
        super().__init__(text)


class Changing(Exception):
    """Its text is another one every time."""

    def __str__(self) -> str:
        return str(id(self))


class Outer:
    class Inner(Exception):
        pass


class Reduced(Exception):
    """Has other arguments than its base, and says so."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text

    def __reduce__(self) -> Any:
        return Reduced, (self.code, self.text)


class Unreduced(Exception):
    def __reduce__(self) -> Any:
        raise RuntimeError("not me")


def there_and_back(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as raised:
        return open_error(pack_error(raised))


@pytest.mark.parametrize(
    "error",
    [Plain(), Plain("x", 1, None, b"y", 1.5, True), Outer.Inner("deep"), Reduced(3, "x"), Unreduced("y"), KeyError("k"),
     KeyError(("a", 1)), Plain([1, {"a": (2, [])}]), Plain(2**70, -(2**63) - 1, "\ud800"), OSError("text"),
     OSError(2, "no", "file"), IsADirectoryError(21, "is", "a", None, "b")],
    ids=repr,
)  # fmt: skip
def test_an_error_keeps_its_class_and_text(error: Exception) -> None:
    found = there_and_back(error)

    assert type(found) is type(error)
    assert (str(found), found.args) == (str(error), error.args)
    assert "Traceback of the worker:\n" in found.__notes__[0]
    assert "in there_and_back" in found.__notes__[0]


def test_an_error_that_says_how_it_is_made_keeps_its_attributes() -> None:
    found = there_and_back(Reduced(7, "x"))
    assert isinstance(found, Reduced)
    assert (found.code, found.text) == (7, "x")

    found = there_and_back(FileNotFoundError(2, "no", "name"))
    assert isinstance(found, FileNotFoundError)
    assert (found.errno, found.filename) == (2, "name")


def main_error() -> Exception:
    kind = type("Mine", (Exception,), {"__module__": "__main__"})
    return kind("x")  # type: ignore[no-any-return]  # made by type()


@pytest.mark.parametrize(
    "error",
    [Two(1, 2), Refusing("x"), Changing(), Plain(object()), Plain([{1: 2}]), main_error(),
     type("Gone", (Exception,), {})("x"), type("Odd", (Exception,), {"__module__": "not.there"})("x")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_an_error_that_cannot_be_made_again_is_remote(error: Exception) -> None:
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    found = there_and_back(error)

    assert isinstance(found, RemoteError)
    assert found.type_name == name
    assert str(found) == f"{name}: {error}"
    assert "in there_and_back" in found.remote_traceback


def test_a_name_that_is_no_exception_is_not_called() -> None:
    called: list[object] = []
    kind = type("called", (Exception,), {"__module__": __name__, "__qualname__": "trap"})
    globals()["trap"] = called.append
    try:
        assert isinstance(there_and_back(kind("x")), RemoteError)
    finally:
        del globals()["trap"]
    assert called == []


def test_causes_are_told() -> None:
    try:
        try:
            raise KeyError("first")
        except KeyError as first:
            raise ValueError("second") from first
    except ValueError as error:
        found = open_error(pack_error(error))

    assert "KeyError: 'first'" in found.__notes__[0]
    assert "direct cause" in found.__notes__[0]


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from(KINDS), args=st.lists(PLAIN | TEXT, max_size=3))
def test_errors_with_plain_arguments_come_back(kind: type[BaseException], args: list[Any]) -> None:
    error = kind(*args)
    found = there_and_back(error)

    assert type(found) is kind
    assert str(found) == str(error)
    assert repr(found.args) == repr(error.args)


@settings(max_examples=100, deadline=None)
@given(value=st.recursive(PLAIN | TEXT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner)))
def test_values_go_there_and_back(value: Any) -> None:
    answer = open_answer(run_frame(pack_call(lambda given, *, named: [given, named], (value,), {"named": value})))

    assert answer.error is None
    assert repr(answer.value) == repr([value, value])


def test_bytes_are_answered_as_they_are() -> None:
    assert run_frame(pack_call(bytes, (b"raw",), {})) == b"\x01Braw"
    assert open_answer(b"\x01Braw").value == b"raw"


# --- frames that are none ---


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (b"", "The bytes of a call are empty."),
        (b"nonsense", "have wire version 110, and this process speaks version 1."),
        (b"\x02\0\0\x1e\x80\x05N.", "have wire version 2, and this process speaks version 1."),
        (b"\x01", "A call came in as 1 bytes"),
        (b"\x01\0\0\x1e", "A call came in as 4 bytes"),
        (b"\x01\xff\xff\x1eabc", "and 65539 are not even its head: it was cut off."),
        (b"\x01\0\x01\x1e\xc1\x80\x05N.", "The head of a call is damaged"),
        (b"\x01\0\x01\x1e\x07\x80\x05N.", "The head of a call is damaged: no names and values."),
        (b"\x01\0\0\x1enonsense", "A call came in that cannot be opened here: UnpicklingError"),
        (b"\x01\0\0\x1e\x80\x05N.", "A call came in that cannot be opened here: TypeError"),
        (b"\x01\0\0\x1e\x80\x05cnot_there\nname\n.", "Install it where the workers run"),
    ],
)
def test_a_damaged_frame_is_an_answer_too(frame: bytes, text: str) -> None:
    error = open_answer(run_frame(frame)).error

    assert isinstance(error, CodecError)
    assert text in str(error)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"", "The bytes of a result are empty."),
        (b"Braw", "have wire version 66, and this process speaks version 1."),
        (b"\x01", "A result of the unknown kind b''"),
        (b"\x01?", "A result of the unknown kind b'?'"),
        (b"\x01b", "The logs behind a result are cut off."),
        (b"\x01bx\0\0\0\x09", "The logs behind a result are cut off."),
        *[(b"\x01" + body, "cannot be opened here") for body in (b"P", b"Pnonsense", b"E", b"Enonsense", b"E\xc1")],
        (b"\x01E\xc0", "cannot be opened here"),
        (b"\x01E\x81\xa9traceback\xc0", "cannot be opened here"),
    ],
)
def test_a_damaged_answer_is_an_error_of_its_call(answer: bytes, text: str) -> None:
    error = open_answer(answer).error

    assert isinstance(error, CodecError)
    assert text in str(error)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_damage_to_the_answer_of_an_error_escapes(data: st.DataObject) -> None:
    answer = bytearray(b"\x01E" + pack_error(ValueError("text", 1, (2,))))
    for _ in range(data.draw(st.integers(1, 4))):
        answer[data.draw(st.integers(0, len(answer) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(answer)))

    outcome = open_answer(bytes(answer[:cut]))
    assert outcome.error is not None or answer[1:2] in b"BPbp"


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((1, threading.Lock()), {}, "Argument 2 of print (a lock)"),
        ((), {"end": threading.Lock()}, "Argument 'end' of print (a lock)"),
    ],
)
def test_what_cannot_travel_is_named(args: tuple[Any, ...], kwargs: dict[str, Any], text: str) -> None:
    with pytest.raises(CodecError) as caught:
        pack_call(print, args, kwargs)

    assert str(caught.value) == (
        f"{text} cannot travel to another process: cannot pickle '_thread.lock' object. "
        "Make it where the call runs, or choose an executor of this process, such as 'threads'."
    )
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt("x"), GeneratorExit()], ids=repr)
def test_nothing_escapes_from_a_frame(error: BaseException) -> None:
    kind, args = type(error), error.args

    def raising() -> None:
        raise kind(*args)

    found = open_answer(run_frame(pack_call(raising, (), {}))).error

    assert type(found) is kind
    assert found.args == args


def test_a_coroutine_function_is_awaited() -> None:
    async def double(value: int) -> int:
        return 2 * value

    assert open_answer(run_frame(pack_call(double, (4,), {}))).value == 8
