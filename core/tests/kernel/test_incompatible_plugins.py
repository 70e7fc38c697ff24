from __future__ import annotations

import pytest
from fake_distributions import Site, plugin

from pipe_core import PluginIncompatibleError
from pipe_core.kernel.hookspecs import EventHooks, ProviderHooks
from pipe_core.kernel.kernel import Kernel

HEAD = "from pipe_core.kernel.hookspecs import hookimpl\n@hookimpl\n"
ASYNC = "def pipe_codec(name): ..."


def incompatible(kernel: Kernel, name: str = "odd") -> PluginIncompatibleError:
    with pytest.raises(PluginIncompatibleError) as caught:
        kernel.choose("codecs", name)
    return caught.value


MISFITS = {
    "a wrong signature": (f"{HEAD}def pipe_codec(name, extra): ...", "pipe_codec(name, extra)"),
    "a wrong argument": (f"{HEAD}def pipe_codec(nmae): ...", "pipe_codec(nmae)"),
    "a misspelt hook": (f"{HEAD}def pipe_executr(name): ...", "no hook is called 'pipe_executr(name)'"),
    "a coroutine function": (f"{HEAD}async def pipe_codec(name): ...", "'pipe_codec(name)' is a coroutine function"),
    "an asynchronous generator": (f"{HEAD}async def pipe_codec(name): yield", "'pipe_codec(name)' is a coroutine"),
    "a coroutine function for an event": (
        f"{HEAD}async def pipe_run_started(run): ...",
        "'pipe_run_started(run)' is a coroutine function",
    ),
    "a wrong signature of an event": (f"{HEAD}def pipe_run_finished(rnu): ...", "pipe_run_finished(rnu)"),
    "no hook at all": ("", "its module has no hook pipe_codec(name) that answers 'odd'"),
    "no answer": (f"{HEAD}def pipe_codec(name): ...", "its module has no hook pipe_codec(name) that answers 'odd'"),
    "a wrong answer": (f"{HEAD}def pipe_codec(name): return 'text'", "pipe_codec() returned str, not CodecSpec"),
    "a spec of another family": (
        plugin("format", "odd").replace("def pipe_format", "def pipe_codec"),
        "pipe_codec() returned FormatSpec, not CodecSpec",
    ),
    "an older version": (plugin("codec", "odd", more=", api_version=0"), "was written for api_version 0; this is 1"),
    "a newer version": (plugin("codec", "odd", more=", api_version=2"), "was written for api_version 2; this is 1"),
    "a failing provider": (f"{HEAD}def pipe_codec(name): 1 / 0", "pipe_codec('odd') raised ZeroDivisionError"),
    "a failing pipe_configure": (
        f"{plugin('codec', 'odd')}@hookimpl\ndef pipe_configure(settings): 1 / 0\n",
        "pipe_configure",
    ),
}  # fmt: skip
EVERY_MISFIT = pytest.mark.parametrize(("source", "text"), MISFITS.values(), ids=list(MISFITS))


@EVERY_MISFIT
def test_a_misfit_is_told_with_distribution_version_and_signature(
    site: Site, kernel: Kernel, source: str, text: str
) -> None:
    site.install("pipe-odd", source, "odd", version="0.9")
    error = incompatible(kernel)

    assert str(error).startswith("The codec 'odd' of pipe-odd 0.9 does not fit this version of pipe-core: ")
    assert text in str(error)
    assert "Upgrade pipe-odd or pipe-core, or tell the plugin's author." in str(error)
    assert (error.family, error.name, error.distribution) == ("codecs", "odd", "pipe-odd")
    assert isinstance(error, TypeError)


@EVERY_MISFIT
def test_a_misfit_leaves_no_trace(site: Site, kernel: Kernel, source: str, text: str) -> None:
    kernel.choose("codecs", "msgpack")
    registered = kernel._manager.get_plugins()
    hooks = set(vars(kernel._manager.hook))
    site.install("pipe-odd", source, "odd")
    site.install("pipe-fine", plugin("codec", "fine"), "fine")
    # The index was read before: a fresh kernel's list, the same manager.
    del kernel.__dict__["index"]

    incompatible(kernel)

    assert kernel._manager.get_plugins() == registered
    assert set(vars(kernel._manager.hook)) == hooks
    assert "pipe_odd" not in kernel._modules
    assert kernel.make("codecs", "fine")[0] == "fine"


@EVERY_MISFIT
def test_a_misfit_stays_one(site: Site, kernel: Kernel, source: str, text: str) -> None:
    site.install("pipe-odd", source, "odd")

    assert incompatible(kernel) is incompatible(kernel)


def test_a_misspelt_hook_is_answered_with_the_hooks_there_are(site: Site, kernel: Kernel) -> None:
    for distribution, hook in (("pipe-first", "pipe_executr"), ("pipe-odd", "pipe_kodec")):
        site.install(distribution, f"{HEAD}def {hook}(name): ...", distribution.removeprefix("pipe-"))
    incompatible(kernel, "first")
    known = str(incompatible(kernel, "odd")).partition("there are: ")[2].partition(". Upgrade")[0].split(", ")

    assert known == sorted(name for hooks in (ProviderHooks, EventHooks) for name in vars(hooks) if "pipe_" in name)


def test_one_name_that_a_module_does_not_know_spoils_no_other(site: Site, kernel: Kernel) -> None:
    site.install("pipe-two", plugin("codec", "good"), "good", "bad")

    incompatible(kernel, "bad")
    assert kernel.make("codecs", "good")[0] == "good"
    assert kernel.failure(kernel.index.find("codecs", "bad")) is not None


def test_one_good_name_survives_a_later_bad_one_of_its_module(site: Site, kernel: Kernel) -> None:
    site.install("pipe-two", plugin("codec", "good"), "good", "bad")
    assert kernel.make("codecs", "good")[0] == "good"
    incompatible(kernel, "bad")

    assert any(module.__name__ == "pipe_two" for module in kernel._manager.get_plugins())
