from __future__ import annotations

import importlib
import re
import subprocess
import sys
from importlib.metadata import metadata, requires, version

import pytest

import pipe_core

DEPENDENCIES = ("pluggy", "stevedore", "pydantic", "msgpack", "lz4", "click", "rich", "PyYAML", "cloudpickle", "psutil")
SELECTING = {"pluggy", "stevedore", "pydantic"}
MODULES = {"yaml" if name == "PyYAML" else name for name in DEPENDENCIES}


def new_modules(program: str) -> set[str]:
    """The top-level modules, and `importlib.metadata`, that a fresh interpreter imports for *program*."""
    script = f"import sys\nbefore = set(sys.modules)\n{program}\nprint(*(set(sys.modules) - before))\n"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    imported = done.stdout.splitlines()[-1].split() if done.stdout.strip() else []
    return {name if name == "importlib.metadata" else name.partition(".")[0] for name in imported}


def test_importing_core_imports_no_dependency_and_lists_no_plugin() -> None:
    assert not new_modules("import pipe_core") & (MODULES | {"importlib.metadata", "asyncio", "concurrent"})


def test_importing_core_reads_no_metadata_of_distributions() -> None:
    program = (
        "opened = []\n"
        "events = ('open', 'os.listdir', 'os.scandir')\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event in events else None)\n"
        "import pipe_core\n"
        "assert any('pipe_core' in path for path in opened), 'the hook saw nothing'\n"
        "assert not [path for path in opened if 'dist-info' in path], opened\n"
    )

    new_modules(program)


def test_listing_the_names_imports_nothing() -> None:
    new_modules(
        "import pipe_core\n"
        "assert 'get_executor' in dir(pipe_core)\n"
        "assert not [name for name in sys.modules if name.startswith('pipe_core.')]"
    )


@pytest.mark.parametrize("name", pipe_core.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(pipe_core, name) is not None
    assert name in dir(pipe_core)


def test_a_public_name_is_the_object_of_its_module() -> None:
    for name, module in pipe_core._HOMES.items():
        assert getattr(pipe_core, name) is getattr(importlib.import_module(module), name)


def test_the_names_for_type_checkers_are_those_at_run_time() -> None:
    assert pipe_core.__file__ is not None
    with open(pipe_core.__file__, encoding="utf-8") as file:
        pairs = re.findall(r"^    from ([\w.]+) import (\w+) as \2$", file.read(), re.MULTILINE)

    assert {name: module for module, name in pairs} == pipe_core._HOMES


def test_every_public_error_has_one_base_and_is_importable_from_the_top() -> None:
    from pipe_core.kernel import errors

    classes = {
        name: value for name, value in vars(errors).items() if isinstance(value, type) and not name.startswith("_")
    }
    classes = {name: value for name, value in classes.items() if issubclass(value, BaseException)}

    assert all(issubclass(value, pipe_core.PipeError) for value in classes.values())
    assert set(classes) <= set(pipe_core.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pipe_core' has no attribute 'Pype'"):
        pipe_core.Pype  # noqa: B018  # the attribute access is the test
    with pytest.raises(ImportError, match="Pype"):
        exec("from pipe_core import Pype")


def test_the_version_is_that_of_the_distribution() -> None:
    assert pipe_core.__version__ == version("pipe-core")


def test_core_depends_on_ten_distributions_and_nothing_more() -> None:
    needed = [text for text in requires("pipe-core") or () if "extra ==" not in text]

    assert sorted(re.split(r"[<>=!~\s;\[]", text)[0].lower() for text in needed) == sorted(map(str.lower, DEPENDENCIES))


def test_the_metadata_declares_the_pythons() -> None:
    information = metadata("pipe-core")
    pythons = {line.rpartition(" ")[2] for line in information.get_all("Classifier") or () if ":: 3." in line}

    assert information["Requires-Python"] == ">=3.11"
    assert pythons == {"3.11", "3.12", "3.13", "3.14"}


@pytest.mark.parametrize(
    ("program", "first_used_here"),
    [
        ("import pipe_core", set()),
        ("from pipe_core import PipeError, RemoteError, CodecError", set()),
        ("from pipe_core import hookimpl", {"pluggy"}),
        ("from pipe_core import Kernel; Kernel().index.names('codecs')", set()),
        ("from pipe_core import get_executor; get_executor('sync').submit(abs, -1).result()", SELECTING),
        ("from pipe_core import get_codec; get_codec().encode({'a': 1})", SELECTING | {"msgpack", "lz4"}),
        ("from pipe_core import get_format; get_format('csv')", SELECTING),
        ("from pipe_core.runtime.wire import pack_call; pack_call(abs, (1,), {})", {"cloudpickle"}),
        ("from pipe_core.runtime.wire import pack_error; pack_error(ValueError())", {"msgpack"}),
    ],
)  # fmt: skip
def test_a_dependency_is_imported_when_it_is_first_used(program: str, first_used_here: set[str]) -> None:
    assert new_modules(program) & MODULES == first_used_here
