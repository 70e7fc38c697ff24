from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from pipe_core.kernel.errors import ConfigError, SchemaError
from pipe_core.project.objects import ObjectNotFoundError, load_hook, load_pipeline, load_schema


def test_a_schema_is_found_in_a_file(folder: Path) -> None:
    model = load_schema(f"{folder}/orders.py:Order")

    assert model.model_validate({"id": "3"}).id == 3


def test_a_file_is_imported_once_for_each_path(folder: Path) -> None:
    assert load_schema(f"{folder}/orders.py:Order") is load_schema(f"{folder}/../box/orders.py:Order")


def test_two_files_of_one_name_do_not_meet(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "orders.py").write_text("from pydantic import BaseModel\nclass Order(BaseModel): other: str\n")

    one, two = load_schema(f"{folder}/orders.py:Order"), load_schema(f"{tmp_path}/orders.py:Order")

    assert list(one.model_fields) == ["id"]
    assert list(two.model_fields) == ["other"]


def test_the_module_is_in_sys_modules_under_a_private_name(folder: Path) -> None:
    model = load_schema(f"{folder}/orders.py:Order")

    assert model.__module__.startswith("_pipe_file_")
    assert sys.modules[model.__module__].Order is model
    assert "orders" not in sys.modules


def test_a_file_can_import_its_neighbours(folder: Path) -> None:
    (folder / "neighbour_of_ours.py").write_text("WORD = 'near'\n", encoding="utf-8")
    (folder / "uses.py").write_text("from neighbour_of_ours import WORD\ndef hook(entry, store): return WORD\n")

    assert load_hook(f"{folder}/uses.py:hook")(None, None) == "near"


def test_neighbours_never_hide_an_installed_module(folder: Path) -> None:
    (folder / "json.py").write_text("raise RuntimeError('hidden')\n", encoding="utf-8")
    (folder / "uses.py").write_text("import json\ndef hook(entry, store): return json.dumps(1)\n")

    assert load_hook(f"{folder}/uses.py:hook")(None, None) == "1"


def test_an_installed_module_is_found_for_a_person() -> None:
    assert load_schema("decimal:Decimal").__name__ == "Decimal"


def test_a_module_beside_a_configuration_file_is_found(folder: Path) -> None:
    (folder / "models").mkdir()
    (folder / "models" / "sales.py").write_text("from pydantic import BaseModel\nclass Sale(BaseModel): n: int\n")

    assert load_schema("models.sales:Sale", folder).__name__ == "Sale"
    assert load_schema("orders:Order", folder).__name__ == "Order"


def test_hooks_may_be_functions_and_classes(folder: Path) -> None:
    assert callable(load_hook("orders.py:tidy", folder))
    assert load_hook("orders.py:Chunky", folder).__name__ == "Chunky"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("ordres.py:Order", "Did you mean 'orders.py'?"),
        ("orders.py:Ordr", "Did you mean 'Order'? The models there: Order, Item."),
        ("orders.py", "write orders.py:Order. The models there: Order, Item."),
        ("orders.py:", "no plain name"),
        (":Order", "names no file. Write file.py:Order"),
        ("Order", "write file.py:Name or package.module:Name"),
        ("orders.py:class", "no plain name"),
        ("no_such_module_here:Order", "For a file write its path: no_such_module_here.py:Name"),
        ("no.such.module:Order", "no/such/module.py:Name"),
        ("a-b:Order", "neither a file (file.py) nor a module"),
        ("orders.txt/x:Order", "There is no file"),
        (".py:Order", "There is no file"),
    ],
)
def test_what_is_not_there_is_told_with_what_there_is(
    reference: str, words: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)

    with pytest.raises(ObjectNotFoundError) as caught:
        load_schema(reference)

    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "tidy",
            "is a function, no schema. Name a pydantic model, a dataclass or a TypedDict. The models there: ",
        ),
        ("NUMBER", "is of type int, no schema"),
        ("Plain", "is a plain class, no schema. Derive it from pydantic.BaseModel"),
    ],
)
def test_what_is_no_schema_is_told_with_the_schemas_there_are(name: str, words: str, folder: Path) -> None:
    with pytest.raises(SchemaError) as caught:
        load_schema(f"{folder}/orders.py:{name}")

    assert words in str(caught.value)
    assert "0x" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "line", "words"),
    [
        ("import json\nimport not_installed_anywhere\n", 2, "No module named 'not_installed_anywhere'"),
        ("x = 1\n\ny = = 2\n", 3, "SyntaxError: invalid syntax"),
        ("def f():\n    return 1 / 0\nf()\n", 2, "return 1 / 0): ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)\n", 2, "SystemExit: 3"),
        ("import json\njson.loads('x')\n", 2, "json.loads('x')): JSONDecodeError"),
    ],
)
def test_a_file_that_cannot_be_imported_is_told_with_its_own_line(
    code: str, line: int, words: str, folder: Path
) -> None:
    (folder / "bad.py").write_text(code, encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        load_schema(f"{folder}/bad.py:Order")

    assert not isinstance(caught.value, ObjectNotFoundError)
    assert words in str(caught.value)
    assert f"line {line}" in str(caught.value)
    assert caught.value.line == line
    assert not [name for name in sys.modules if name.endswith("_bad")]


def test_an_error_in_a_neighbour_names_the_neighbour(folder: Path) -> None:
    (folder / "bad_neighbour.py").write_text("\n\nraise ValueError('inner')\n", encoding="utf-8")
    (folder / "uses.py").write_text("import bad_neighbour\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=r"uses\.py cannot be imported .*line 1: import bad_neighbour.*inner"):
        load_schema(f"{folder}/uses.py:Order")


def test_a_corrected_file_is_imported_again(folder: Path) -> None:
    path = folder / "later.py"
    path.write_text("raise ValueError\n", encoding="utf-8")
    with pytest.raises(ConfigError):
        load_hook(f"{path}:hook")

    path.write_text("def hook(entry, store): return 'fine, and longer than before'\n", encoding="utf-8")

    assert load_hook(f"{path}:hook")(None, None).startswith("fine")


def test_ctrl_c_while_a_file_is_imported_is_ctrl_c(folder: Path) -> None:
    (folder / "slow.py").write_text("raise KeyboardInterrupt\n", encoding="utf-8")

    with pytest.raises(KeyboardInterrupt):
        load_schema(f"{folder}/slow.py:Order")


@pytest.fixture(autouse=True)
def _path_as_before(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Importing a file makes its folder importable; not for the next test."""
    monkeypatch.setattr(sys, "path", [*sys.path])


PIPELINE = """
from pipe_core import Pipeline
def double(x): return 2 * x
doubles = Pipeline([double], name="doubles")
"""


def test_a_pipeline_is_found_by_its_name(folder: Path) -> None:
    (folder / "graphs.py").write_text(PIPELINE, encoding="utf-8")

    assert load_pipeline("graphs.py:doubles", folder)(x=2) == {"double": 4}


def test_what_is_no_pipeline_is_refused_with_those_there_are(folder: Path) -> None:
    (folder / "graphs.py").write_text(PIPELINE, encoding="utf-8")

    with pytest.raises(ConfigError, match=r"is of type function, no pipeline.*The pipelines there: doubles\."):
        load_pipeline(f"{folder}/graphs.py:double")
    with pytest.raises(ConfigError, match=r"is a class, no pipeline"):
        load_pipeline(f"{folder}/graphs.py:Pipeline")
    with pytest.raises(ObjectNotFoundError, match="Did you mean 'doubles'"):
        load_pipeline("graphs.py:double_s", folder)
