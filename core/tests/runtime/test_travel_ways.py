"""What goes by value and what by reference."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import pytest

from pipe_core.runtime import travel
from pipe_core.runtime.travel import goes_by_value, is_private
from pipe_core.runtime.wire import dumps, pack_call, run_frame

# --- what goes how ---


@pytest.mark.parametrize(
    "name",
    ["builtins", "json", "json.decoder", "pydantic", "pytest", "cloudpickle", "pipe_core", "pipe_core.runtime.wire",
     "not_there", None, 3],
)  # fmt: skip
def test_what_is_installed_goes_by_reference(name: Any) -> None:
    assert not goes_by_value(name)


def test_what_is_here_goes_by_value() -> None:
    assert goes_by_value(__name__)
    assert goes_by_value("__main__")
    assert is_private("__main__")
    assert is_private("_pipe_file_0123_models")
    assert not is_private(__name__)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def decided(home: Path, file: str, name: str = "some_module_of_nobody") -> bool:
    return travel._decide(name, str(home / file))


def test_an_environment_inside_the_working_folder_is_no_code_of_the_project(home: Path) -> None:
    assert decided(home, "some.py")
    assert decided(home, "deep/er/some.py")
    assert not decided(home, "venv/lib/python3.11/site-packages/some.py")
    assert not decided(home, "venv/lib/python3/dist-packages/some/__init__.py")
    assert not decided(home, "fast.cpython-311-x86_64-linux-gnu.so")


def test_what_python_finds_elsewhere_goes_by_reference(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(home.parent / "other"))
    monkeypatch.syspath_prepend(f"{home}_longer")
    assert not decided(home, "../other/some.py", "some")
    assert not decided(home, "../other/package/__init__.py", "package")
    assert not decided(home, "../other/package/some.py", "package.some")
    assert not decided(home, f"../{home.name}_longer/some.py", "some")


def test_what_python_would_not_find_goes_by_value(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(home.parent / "other"))
    assert decided(home, "../other/folder/some.py", "some")
    assert decided(home, "../tests/some.py", "tests.some"), "as pytest names the tests that it loads by their paths"


def test_a_standard_library_inside_the_working_folder_is_none_either(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    monkeypatch.chdir("/")
    assert not goes_by_value("json")
    assert not travel._decide("json", json.__file__)


def test_what_a_distribution_brings_goes_by_reference(home: Path) -> None:
    assert not decided(home, "pipe_core/x.py", "pipe_core")
    assert decided(home, "pipe_steps.py", "pipe_steps")


def test_a_distribution_installed_as_a_link_goes_by_reference(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = home / "site"
    info = site / "my_project-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-project\nVersion: 1\n")
    (info / "RECORD").write_text("my_project-1.dist-info/METADATA,,\n")
    (home / "src" / "other").mkdir(parents=True)
    (site / "links.pth").write_text(f"# a comment\nimport sys\n{home / 'src'}\n{home}\n{home / 'gone'}\n")
    monkeypatch.setattr(travel, "_site_folders", lambda: [str(site)])
    monkeypatch.syspath_prepend(str(site))
    travel._linked_folders.cache_clear()
    try:
        assert decided(home, "my_project/x.py", "my_project"), "a name alone proves nothing"
        (info / "direct_url.json").write_text('{"dir_info": {"editable": true}, "url": "file:///x"}')
        assert not decided(home, "my_project/x.py", "my_project")
        assert not decided(home, "src/other/__init__.py", "other")
        assert decided(home, "beside.py", "beside"), "the working folder is more than what is installed from it"
    finally:
        travel._linked_folders.cache_clear()


def test_a_module_that_is_another_one_now_is_looked_at_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ModuleType("some_name_of_nobody"), ModuleType("some_name_of_nobody")
    first.__file__, second.__file__ = str(home / "first.py"), "/elsewhere/some_name_of_nobody.py"
    monkeypatch.syspath_prepend("/elsewhere")
    monkeypatch.setitem(sys.modules, "some_name_of_nobody", first)
    assert goes_by_value("some_name_of_nobody")
    monkeypatch.setitem(sys.modules, "some_name_of_nobody", second)
    assert not goes_by_value("some_name_of_nobody")


def test_a_removed_working_folder_is_survived(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = home / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.syspath_prepend("")
    assert decided(home, "some.py")
    monkeypatch.syspath_prepend(str(home))
    assert not decided(home, "some.py", "some")
    monkeypatch.chdir(home)


def test_threads_pack_at_the_same_time() -> None:
    wanted = pack_call(_module_function, (1,), {})
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.extend(_packed(50))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(found) == {wanted}


def _packed(times: int) -> list[bytes]:
    return [pack_call(_module_function, (1,), {}) for _ in range(times)]


def _module_function(x: int) -> int:
    return x


def test_what_we_lean_on_in_cloudpickle_is_there() -> None:
    from cloudpickle import cloudpickle as inside

    for name in ("_class_reduce", "_dynamic_class_reduce", "_class_setstate", "_make_typevar", "_decompose_typevar"):
        assert callable(getattr(inside, name)), name
    for name in ("_function_reduce", "_dynamic_function_reduce"):
        assert callable(getattr(cloudpickle.Pickler, name)), name


def test_dumps_gives_what_cloudpickle_opens() -> None:
    value = {"a": [1, (2,)], "fn": _module_function}
    found = cloudpickle.loads(dumps(value))

    assert found["a"] == [1, (2,)]
    assert found["fn"](3) == 3
    assert run_frame(pack_call(_module_function, (b"x",), {}))[:2] == b"\x01B"  # type: ignore[arg-type]  # any value
