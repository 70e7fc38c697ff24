from __future__ import annotations

import sys

import pytest
from fake_distributions import Site, plugin

from pipe_core import PluginDependencyError, PluginError, PluginLoadError
from pipe_core.kernel.kernel import Kernel


def load_error(kernel: Kernel, name: str = "broken") -> PluginLoadError:
    with pytest.raises(PluginLoadError) as caught:
        kernel.choose("codecs", name)
    return caught.value


@pytest.mark.parametrize(
    ("source", "cause", "text"),
    [
        ("raise ValueError('no luck')", ValueError, "ValueError: no luck"),
        ("raise SystemExit(3)", SystemExit, "SystemExit: 3"),
        ("import sys; sys.exit('bye')", SystemExit, "SystemExit: bye"),
        ("1 / 0", ZeroDivisionError, "ZeroDivisionError: division by zero"),
        ("this is no Python", SyntaxError, "SyntaxError: "),
        ("from os import nothing_like_it", ImportError, "ImportError: cannot import name"),
        ("import pipe_broken.missing", ModuleNotFoundError, "ModuleNotFoundError: "),
        ("assert False, 'odd'", AssertionError, "AssertionError: odd"),
        ("class Odd(BaseException): pass\nraise Odd('very')", BaseException, "Odd: very"),
    ],
)
def test_a_bug_in_a_plugin_is_told_with_its_cause(
    site: Site, kernel: Kernel, source: str, cause: type[BaseException], text: str
) -> None:
    site.install("pipe-broken", source, "broken", version="3.1")
    error = load_error(kernel)

    assert type(error) is PluginLoadError
    assert isinstance(error.__cause__, cause)
    assert str(error).startswith(f"The codec 'broken' of pipe-broken 3.1 cannot be imported: {text}")
    assert "This is a bug in the plugin (module pipe_broken); other plugins are not affected." in str(error)
    assert (error.family, error.name, error.distribution) == ("codecs", "broken", "pipe-broken")


@pytest.mark.parametrize("statement", ["import not_there", "import not_there.deep", "from not_there import x"])
def test_a_missing_dependency_is_no_bug(site: Site, kernel: Kernel, statement: str) -> None:
    site.install("pipe-broken", statement, "broken", version="3.1")
    error = load_error(kernel)

    assert isinstance(error, PluginDependencyError)
    assert isinstance(error, ImportError)
    assert error.missing.partition(".")[0] == "not_there"
    assert isinstance(error.__cause__, ModuleNotFoundError)
    assert "pipe-broken 3.1 needs the module 'not_there'" in str(error)
    assert "pip install --force-reinstall pipe-broken" in str(error)


def test_a_module_that_does_not_exist_is_the_plugin_s_bug(site: Site, kernel: Kernel) -> None:
    site.metadata("pipe-broken", ["[pipe_core.codecs]", "broken = pipe_broken.gone"])

    assert type(load_error(kernel)) is PluginLoadError


def test_ctrl_c_during_an_import_stays_ctrl_c(site: Site, kernel: Kernel) -> None:
    site.install("pipe-broken", "raise KeyboardInterrupt", "broken")

    with pytest.raises(KeyboardInterrupt):
        kernel.choose("codecs", "broken")
    assert kernel._failures == {}


def test_others_are_not_affected(site: Site, kernel: Kernel) -> None:
    site.install("pipe-broken", "raise SystemExit", "broken")
    site.install("pipe-fine", plugin("codec", "fine"), "fine")
    load_error(kernel)

    assert kernel.make("codecs", "fine")[0] == "fine"
    assert {"broken", "fine", "msgpack"} <= set(kernel.index.names("codecs"))
    usable = [entry.name for entry, spec in kernel.usable("codecs")]
    assert "broken" not in usable
    assert {"fine", "msgpack"} <= set(usable)


def test_listing_and_selecting_others_never_imports_it(site: Site, kernel: Kernel) -> None:
    site.install("pipe-broken", "import builtins\nbuiltins.touched = True\nraise SystemExit", "broken")
    kernel.index.names("codecs")
    kernel.make("codecs", "msgpack")

    import builtins

    assert not hasattr(builtins, "touched")


def test_a_failure_is_remembered(site: Site, kernel: Kernel) -> None:
    site.install("pipe-broken", "import counter\ncounter.imports += 1\nraise ValueError", "broken")
    (site.metadata("counter", []) / "counter.py").write_text("imports = 0\n")
    first = load_error(kernel)

    assert load_error(kernel) is first
    assert kernel.failure(kernel.index.find("codecs", "broken")) is first
    assert sys.modules["counter"].imports == 1


def test_a_failure_is_shown_with_its_reason_without_being_raised(site: Site, kernel: Kernel) -> None:
    site.install("pipe-broken", "raise ValueError('no luck')", "broken")
    reasons = {entry.name: kernel.failure(entry) for entry in kernel.index.entries("codecs")}

    assert isinstance(reasons["broken"], PluginError)
    assert "no luck" in str(reasons["broken"])
    assert reasons["msgpack"] is None


def test_another_kernel_tries_again(site: Site, kernel: Kernel) -> None:
    module = site.install("pipe-broken", "raise ValueError", "broken")
    load_error(kernel)
    (site.metadata("pipe-repaired", []) / f"{module}.py").write_text(plugin("codec", "broken"))

    assert Kernel(environ={}).make("codecs", "broken")[0] == "broken"


def test_a_backend_that_is_missing_is_told_when_the_plugin_starts(site: Site, kernel: Kernel) -> None:
    source = plugin("codec", "late").replace("lambda options: (name, options)", "make")
    site.install("pipe-late", f"{source}\ndef make(options):\n    import not_there\n", "late")
    choice = kernel.choose("codecs", "late")

    with pytest.raises(ModuleNotFoundError, match="not_there"):
        choice.make()
