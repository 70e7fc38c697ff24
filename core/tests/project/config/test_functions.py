"""What ``function:`` finds, what it refuses, and how what it finds travels."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from pipe_core.kernel.errors import ConfigError
from pipe_core.project.config.references import (
    Code,
    CodeNotAllowedError,
    FunctionMissingError,
    ModuleMissingError,
    NotCallableError,
)
from pipe_core.project.project import Project
from pipe_core.runtime.pickling import dumps

Write = Callable[..., Path]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages, with one called `elsewhere`."""
    place = tmp_path / "packages"
    (place / "elsewhere").mkdir(parents=True)
    (place / "elsewhere" / "__init__.py").write_text("def step(): pass\n", encoding="utf-8")
    (place / "elsewhere" / "tools.py").write_text(
        "from shutil import rmtree\nfrom elsewhere import step\ndef tool(): pass\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(place)
    yield place
    for name in [one for one in sys.modules if one.partition(".")[0] == "elsewhere"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("reference", "module"),
    [
        ("shop.etl.transform", None),
        ("shop.etl:transform", None),
        ("shop/etl.py:transform", None),
        ("./shop/etl.py:transform", None),
        (" shop.etl.transform ", None),
        ("transform", "shop.etl"),
        ("transform", "shop/etl.py"),
    ],
)
def test_a_function_has_many_spellings_and_is_one(folder: Path, reference: str, module: str | None) -> None:
    code = Code(folder)

    found = code.function(reference, module)
    assert found is code.function("shop.etl.transform")
    assert found.__module__ == "shop.etl"


def test_a_class_of_a_file_is_that_of_the_module(folder: Path) -> None:
    code = Code(folder)

    schema = code.schema("shop/models.py:Order")
    assert schema is code.schema("shop.models.Order")
    assert isinstance(code.function("shop.etl.extract")([{"id": 1}])[0], schema)


@pytest.mark.parametrize(
    ("reference", "kind", "words"),
    [
        ("shop.etll.extract", ModuleMissingError, "Did you mean 'etl'? Modules there: etl, models"),
        ("shop/etll.py:extract", ModuleMissingError, "Did you mean 'etl.py'?"),
        ("shop:extract", FunctionMissingError, "no function 'extract' in shop."),
        ("shop.etl.extrakt", FunctionMissingError, "Did you mean 'extract'? It has extract, transform."),
        ("shop.etl.TABLE", NotCallableError, "no function but of type dict. It has extract, transform."),
        ("elswhere.step", CodeNotAllowedError, "project.code does not list it"),
        ("os.system", CodeNotAllowedError, "Python's own"),
        ("extract", CodeNotAllowedError, "does not say which module"),
        ("shop.py", CodeNotAllowedError, "write shop.py:function"),
    ],
)
def test_every_mistake_has_an_error_of_its_own(folder: Path, reference: str, kind: type[Exception], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Code(folder).function(reference)

    assert type(caught.value) is kind
    assert words in str(caught.value)
    bases = {ModuleMissingError: LookupError, FunctionMissingError: AttributeError, NotCallableError: TypeError}
    assert isinstance(caught.value, bases.get(kind, PermissionError))


def test_a_list_of_functions_has_an_end(folder: Path, write: Write) -> None:
    write("".join(f"def f{i}(): pass\n" for i in range(100)), "shop/many.py")

    with pytest.raises(FunctionMissingError, match=r"f8, f9 and 90 more\.$"):
        Code(folder).function("shop.many.g")


def test_code_elsewhere_must_be_listed(folder: Path, installed: Path) -> None:
    with pytest.raises(CodeNotAllowedError, match=r"project: \{code: \[elsewhere\]\}"):
        Code(folder).function("elsewhere.step")
    assert "elsewhere" not in sys.modules  # it was not even imported

    code = Code(folder, ("elsewhere.tools",))
    assert code.function("elsewhere.tools.tool").__name__ == "tool"
    with pytest.raises(CodeNotAllowedError, match="comes from 'elsewhere'"):
        code.function("elsewhere.tools.step")
    with pytest.raises(CodeNotAllowedError, match="Python's own module 'shutil'"):
        Code(folder, ("elsewhere",)).function("elsewhere.tools.rmtree")
    with pytest.raises(ModuleMissingError, match="not installed"):
        Code(folder, ("elsewhere",)).function("elsewhere.nope.step")
    assert Code(folder, ("elsewhere",)).function("elsewhere.tools.step").__module__ == "elsewhere"


def test_a_package_below_the_folder_is_the_projects_own_however_it_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "src" / "helpers").mkdir(parents=True)
    (folder / "src" / "helpers" / "__init__.py").write_text("def step(): pass\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder / "src")  # as an editable install does

    assert Code(folder).function("helpers.step").__module__ == "helpers"


def test_a_name_of_an_installed_module_is_refused_and_not_hidden(folder: Path, installed: Path, write: Write) -> None:
    write("def step(): pass\n", "elsewhere.py")

    with pytest.raises(ConfigError, match=r"has the name of another one, .*elsewhere.* Rename the file"):
        Code(folder).function("elsewhere.step")
    importlib.import_module("elsewhere")
    with pytest.raises(ConfigError, match="Rename the file"):
        Code(folder).function("elsewhere.step")
    assert Path(str(sys.modules["elsewhere"].__file__)).is_relative_to(installed)


def test_a_file_that_cannot_be_imported_by_name_is_imported_by_path(folder: Path, write: Write) -> None:
    for name in ("my steps.py", "code.py", "2024.py"):
        write("from shop.models import Order\ndef step(): return Order\n", name)
        found = Code(folder).function(f"{name}:step")
        assert found() is Code(folder).schema("shop.models.Order")
        assert found is Code(folder).function(f"{name}:step")
    assert not hasattr(importlib.import_module("code"), "step")


def test_code_may_import_its_neighbours_early_late_and_relatively(folder: Path, write: Write) -> None:
    write(
        dedent("""
        import helpers
        from .models import Item
        def step():
            from shop.models import Order
            import single
            return helpers.NAME, Item, Order, single.step
        """),
        "shop/steps.py",
    )
    write("NAME = 'h'\n", "helpers.py")
    before = list(sys.path)

    name, item, order, step = Code(folder).function("shop.steps.step")()
    assert (name, item.__name__, order.__name__, step.__name__) == ("h", "Item", "Order", "step")
    assert sys.path == before


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("x = 1\nimport no_such_module\n", 2, "No module named 'no_such_module'"),
        ("x = 1\n\n1 / 0\n", 3, "ZeroDivisionError"),
        ("def f(:\n", 1, "SyntaxError"),
        ("import sys\nsys.exit(3)\n", 2, "SystemExit: 3"),
    ],
)
def test_a_module_that_breaks_is_told_with_its_line(
    folder: Path, write: Write, text: str, line: int, words: str
) -> None:
    path = write(text, "shop/broken.py")

    for _ in range(2):  # and again, for nothing of it stays
        with pytest.raises(ConfigError, match="cannot be imported") as caught:
            Code(folder).function("shop.broken.step")
        assert (caught.value.path, caught.value.line) == (str(path), line)
        assert words in str(caught.value)


def test_decorated_partial_and_async_functions_are_functions(folder: Path, write: Write) -> None:
    write(
        dedent("""
        import functools
        from pipe_core import node

        def decorate(fn):
            @functools.wraps(fn)
            def inner(*args): return fn(*args)
            return inner

        @decorate
        def decorated(x): return x

        partial = functools.partial(decorated, 1)

        async def asynchronous(x): return x

        @node(output_name="y")
        def graph_node(x): return x

        class Step:
            def __call__(self, x): return x

        instance = Step()
        """),
        "steps.py",
    )
    for name in ("decorated", "partial", "asynchronous", "graph_node", "Step", "instance"):
        assert callable(Code(folder).function(f"steps.{name}"))


# --- several projects in one process ---


def _project(folder: Path, word: str) -> Project:
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "etl.py").write_text(
        "from helpers import WORD\nfrom shop.models import Model\n"
        "def step(): return WORD, Model.word\ndef late():\n    import helpers\n    return helpers.WORD\n",
        encoding="utf-8",
    )
    (folder / "shop" / "models.py").write_text(f"class Model: word = {word!r}\n", encoding="utf-8")
    (folder / "helpers.py").write_text(f"WORD = {word!r}\n", encoding="utf-8")
    (folder / "pipe.yaml").write_text("nodes: {step: shop.etl.step, late: shop.etl.late}\n", encoding="utf-8")
    return Project.load(folder)


def test_projects_with_modules_of_the_same_name_keep_apart(tmp_path: Path) -> None:
    first, second = (_project(tmp_path / name, name) for name in ("first", "second"))

    for _ in range(2):
        assert first.function("step")() == ("first", "first")
        assert first.function("late")() == "first"
        assert second.function("step")() == ("second", "second")
        assert second.function("late")() == "second"
    assert Project.load(tmp_path / "first").function("step") is first.function("step")


def test_functions_travel_with_the_code_of_their_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (_project(tmp_path / name, name) for name in ("first", "second"))
    (tmp_path / "working").mkdir()
    monkeypatch.chdir(tmp_path / "working")  # what is in the working folder travels anyway
    functions: list[Any] = [one.function("step") for one in (first, second)]
    carried = [dumps(one) for one in functions]  # of the first, too, whose names the second has now

    code = f"import pickle\nprint([pickle.loads(one)() for one in {carried!r}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=50)
    assert done.stdout.strip() == "[('first', 'first'), ('second', 'second')]", done.stderr
