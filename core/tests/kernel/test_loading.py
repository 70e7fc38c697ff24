from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fake_distributions import Site, plugin

from pipe_core import using
from pipe_core.kernel.kernel import Kernel, current_kernel

COUNTED = "import counter\ncounter.imports += 1\n"
CONFIGURED = "\n@hookimpl\ndef pipe_configure(settings):\n    counter.configured += 1\n"
THREADS = 8


def at_once(call: Callable[[], object]) -> list[object]:
    """The results of as many calls as there are threads, all started together."""
    gate = threading.Barrier(THREADS)

    def one() -> object:
        gate.wait()
        return call()

    with ThreadPoolExecutor(THREADS) as pool:
        return [future.result() for future in [pool.submit(one) for _ in range(THREADS)]]


@pytest.fixture
def counted(site: Site) -> Site:
    """A site with a module that plugins count in."""
    (site.metadata("counter", []) / "counter.py").write_text("imports = 0\nconfigured = 0\n")
    return site


def test_eight_threads_at_once_load_a_plugin_once(counted: Site, kernel: Kernel) -> None:
    counted.install("pipe-hello", COUNTED + plugin("codec", "hello") + CONFIGURED, "hello")

    specs = at_once(lambda: kernel.spec("codecs", "hello"))

    assert all(spec is specs[0] for spec in specs)
    assert (sys.modules["counter"].imports, sys.modules["counter"].configured) == (1, 1)
    assert [module.__name__ for module in kernel._manager.get_plugins()] == ["pipe_hello"]


def test_eight_threads_at_once_see_one_failure(counted: Site, kernel: Kernel) -> None:
    counted.install("pipe-broken", f"{COUNTED}raise ValueError", "broken")
    failures = at_once(lambda: kernel.failure(kernel.index.find("codecs", "broken")))

    assert all(failure is failures[0] for failure in failures)
    assert sys.modules["counter"].imports == 1


def test_eight_threads_at_once_get_one_default_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipe_core.kernel.kernel._default", None)
    kernels = at_once(current_kernel)

    assert all(kernel is kernels[0] for kernel in kernels)


def test_one_module_under_two_names_is_registered_once(counted: Site, kernel: Kernel) -> None:
    source = COUNTED + plugin("codec", "hello", "bye") + CONFIGURED
    counted.install("pipe-hello", source, "hello", "bye")

    assert [kernel.make("codecs", name)[0] for name in ("hello", "bye", "hello")] == ["hello", "bye", "hello"]
    assert (sys.modules["counter"].imports, sys.modules["counter"].configured) == (1, 1)
    assert len(kernel._manager.get_plugins()) == 1


def test_one_module_may_serve_two_families(site: Site, kernel: Kernel) -> None:
    source = plugin("codec", "hello") + plugin("format", "hello")
    folder = site.metadata(
        "pipe-hello", ["[pipe_core.codecs]", "hello = pipe_hello", "[pipe_core.formats]", "hello = pipe_hello"]
    )
    (folder / "pipe_hello.py").write_text(source)

    assert kernel.choose("codecs", "hello").spec.__class__.__name__ == "CodecSpec"
    assert kernel.choose("formats", "hello").spec.__class__.__name__ == "FormatSpec"
    assert len(kernel._manager.get_plugins()) == 1


def test_a_plugin_loaded_late_hears_the_settings(site: Site, tmp_path: Path) -> None:
    source = (
        plugin("codec", "late") + "\nheard = []\n@hookimpl\ndef pipe_configure(settings):\n    heard.append(settings)\n"
    )
    module = site.install("pipe-late", source, "late")
    kernel = Kernel(environ={"PIPE_CHUNK_SIZE": "77"}, folder=tmp_path)
    kernel.choose("codecs", "msgpack")
    kernel.choose("codecs", "late")

    [settings] = sys.modules[module].heard
    assert settings["chunk_size"] == 77
    assert settings["executor"] is None


def test_two_kernels_are_independent(site: Site, tmp_path: Path) -> None:
    site.install("pipe-hello", plugin("codec", "hello"), "hello")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "pipe.toml").write_text("chunk_size = 1")
    first = Kernel(environ={"PIPE_CODEC": "hello"}, folder=tmp_path / "a")
    second = Kernel(environ={"PIPE_DISABLE_PLUGINS": "hello"}, folder=tmp_path)

    assert first.make("codecs", default="msgpack")[0] == "hello"
    assert "hello" not in second.index.names("codecs")
    assert type(second.make("codecs", default="msgpack")).__name__ != "tuple"
    assert (first.settings.get("chunk_size", 9).value, second.settings.get("chunk_size", 9).value) == (1, 9)
    assert first._manager is not second._manager
    assert {module.__name__ for module in first._manager.get_plugins()} == {"pipe_hello"}
    assert "pipe_hello" not in {module.__name__ for module in second._manager.get_plugins()}


def test_a_failure_belongs_to_one_kernel(site: Site) -> None:
    site.install("pipe-broken", "raise ValueError", "broken")
    first, second = Kernel(environ={}), Kernel(environ={})
    entry = first.index.find("codecs", "broken")

    assert first.failure(entry) is not second.failure(entry)


def test_the_kernel_in_use_is_the_innermost_one() -> None:
    outer, inner = Kernel(environ={}), Kernel(environ={})

    with using(kernel=outer):
        with using(kernel=inner), using(chunk_size=3):
            assert current_kernel() is inner
        assert current_kernel() is outer
    assert current_kernel() not in (inner, outer)
    assert current_kernel() is current_kernel()


def test_stevedore_s_cache_on_disk_is_neither_read_nor_written(
    site: Site, kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stevedore import _cache

    def refuse(*args: object) -> None:
        raise AssertionError("stevedore's cache was asked")

    monkeypatch.setattr(_cache.Cache, "get_group_all", refuse)
    monkeypatch.setattr(_cache.Cache, "get_group_named", refuse)
    monkeypatch.setattr(_cache.Cache, "get_single", refuse, raising=False)
    site.install("pipe-hello", plugin("codec", "hello"), "hello")

    assert kernel.make("codecs", "hello")[0] == "hello"
