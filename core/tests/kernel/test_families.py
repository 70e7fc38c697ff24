from __future__ import annotations

import inspect
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from fake_distributions import Site, plugin

from pipe_core.kernel import access, contracts, specs
from pipe_core.kernel.families import FAMILIES, Family
from pipe_core.kernel.hookspecs import EventHooks, ProviderHooks
from pipe_core.kernel.index import PluginEntry, PluginIndex
from pipe_core.kernel.kernel import Kernel
from pipe_core.runtime import select

BUILT_IN = {
    "executors": {"sync"},
    "schedulers": {"fifo"},
    "codecs": {"msgpack"},
    "hooks": {"deduplicate", "field_mapper", "filter", "timestamp"},
    "formats": {"csv", "json", "jsonl", "memory"},
    "observers": {"log", "progress"},
}
OWN = [entry for family in FAMILIES for entry in PluginIndex({}).entries(family) if entry.distribution == "pipe-core"]
BACKENDS = [
    "asyncio",
    "ray",
    "dask",
    "distributed",
    "loky",
    "joblib",
    "pyarrow",
    "sqlalchemy",
    "rich",
    "lz4",
    "msgpack",
    "yaml",
    "cloudpickle",
    "click",
]
EVERY_FAMILY = pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))


def test_there_are_six_families() -> None:
    assert list(FAMILIES) == ["executors", "schedulers", "codecs", "hooks", "formats", "observers"]
    assert [family.group for family in FAMILIES.values()] == [f"pipe_core.{name}" for name in FAMILIES]


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        FAMILIES["mine"] = FAMILIES["codecs"]  # type: ignore[index]  # what the test is about


@EVERY_FAMILY
def test_a_family_has_a_hook_specification_that_returns_its_spec(family: Family) -> None:
    provider = getattr(ProviderHooks, family.provider)

    assert list(inspect.signature(provider).parameters) == ["self", "name"]
    assert typing.get_type_hints(provider, vars(specs))["return"] == family.spec | None
    assert "Describe the" in provider.__doc__
    assert family.word in provider.__doc__


@EVERY_FAMILY
def test_a_family_has_one_way_in(family: Family) -> None:
    place = select if family.name == "executors" else access

    assert getattr(place, f"get_{family.word}").__doc__


@pytest.mark.parametrize("family", [FAMILIES[name] for name in ("executors", "schedulers", "codecs", "formats")])
def test_a_family_of_products_that_core_drives_names_their_protocol(family: Family) -> None:
    contract = getattr(contracts, family.contract)

    assert typing.is_protocol(contract) if sys.version_info >= (3, 13) else contract._is_protocol


def test_no_question_is_asked_outside_of_the_table() -> None:
    asked = {name for name in vars(ProviderHooks) if name.startswith("pipe_")}

    assert asked == {family.provider for family in FAMILIES.values()}
    assert not asked & set(vars(EventHooks))


@EVERY_FAMILY
def test_the_built_ins_of_a_family_are_entry_points(family: Family) -> None:
    assert BUILT_IN[family.name] <= {entry.name for entry in OWN if entry.family == family.name}


def test_without_entry_points_nothing_is_registered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from importlib.metadata import EntryPoints

    monkeypatch.setattr("pipe_core.kernel.index.entry_points", EntryPoints)
    kernel = Kernel(environ={}, folder=tmp_path)

    assert {family: kernel.index.names(family) for family in FAMILIES} == {key: [] for key in FAMILIES}
    with pytest.raises(LookupError, match=r"No executor named 'sync'\. Installed: none\."):
        kernel.make("executors", "sync")


@pytest.mark.parametrize("entry", OWN, ids=lambda entry: f"{entry.family}-{entry.name}")
def test_every_built_in_answers_to_its_name(entry: PluginEntry, kernel: Kernel) -> None:
    spec = kernel.spec(entry.family, entry.qualified)

    assert isinstance(spec, FAMILIES[entry.family].spec)
    assert spec.summary
    assert "\n" not in spec.summary
    assert spec.options.model_config.get("extra") == "forbid"


@pytest.mark.parametrize("module", sorted({entry.module for entry in OWN}))
def test_importing_a_built_in_s_module_imports_no_backend(module: str) -> None:
    """All but the module of ``sync``, which holds an executor itself, may not even import `asyncio`."""
    heavy = set(BACKENDS) - ({"asyncio"} if module == "pipe_core.executors.sync" else set())
    program = f"import sys, {module}\nassert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"

    subprocess.run([sys.executable, "-c", program], check=True)


def test_selecting_one_plugin_imports_its_module_and_its_backend_only(site: Site, kernel: Kernel) -> None:
    for name in ("one", "two"):
        source = plugin("codec", name).replace("lambda options: (name, options)", "make")
        site.install(f"pipe-{name}", f"{source}\ndef make(options):\n    import {name}_backend\n", name)
        (site.metadata(f"{name}-backend", []) / f"{name}_backend.py").write_text("")

    assert {"one", "two"} <= set(kernel.index.names("codecs"))
    assert not {"pipe_one", "pipe_two"} & set(sys.modules)

    choice = kernel.choose("codecs", "one")
    assert "pipe_one" in sys.modules
    assert "one_backend" not in sys.modules

    choice.make()
    assert "one_backend" in sys.modules
    assert not {"pipe_two", "two_backend"} & set(sys.modules)
