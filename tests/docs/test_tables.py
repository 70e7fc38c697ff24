"""Tables of README.md and the manual that repeat what the code knows."""

import ast
import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from click import Context
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import pipe_core
from pipe_core import Capabilities, Kernel
from pipe_core.kernel.families import FAMILIES
from pipe_core.kernel.settings import KINDS
from pipe_core.looks import exits
from pipe_core.project.config import fields, models
from pipe_core.project.config.sections import TOP
from pipe_core.runs import errors as runs_errors

ISOLATION = {
    "none": "in the thread that calls",
    "thread": "in threads of this process",
    "process": "in processes of this machine",
    "remote": "on a cluster, or one of this machine",
}
YES_OR_NO = {True: "yes", False: "no"}


def page(root: Path, name: str) -> str:
    return (root / "docs" / "pages" / name).read_text("utf-8")


def tables(text: str) -> list[list[list[str]]]:
    """The tables of *text*: rows of cells, the heading first."""
    found = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    rows = [[re.split(r"(?<!\\) \| ", line.strip("|\n ")) for line in table.splitlines()] for table in found]
    return [[[cell.strip() for cell in row] for i, row in enumerate(table) if i != 1] for table in rows]


def column(text: str, heading: str) -> list[str]:
    """The first column of all tables whose first heading is *heading*."""
    return [row[0] for table in tables(text) if table[0][0] == heading for row in table[1:]]


def words(cells: list[str]) -> list[str]:
    """What stands between backticks."""
    return [word for cell in cells for word in re.findall(r"`([^`]+)`", cell)]


# --- executors ---


def executors_of_the_repository(root: Path) -> set[str]:
    """The names of executors that core and the plugins beside it offer."""
    found: set[str] = set()
    for path in [root / "core" / "pyproject.toml", *(root / "plugins").glob("*/pyproject.toml")]:
        project = tomllib.loads(path.read_text("utf-8"))["project"]
        found |= set(project.get("entry-points", {}).get("pipe_core.executors", {}))
    return found


def by_executor(text: str) -> dict[str, dict[str, str]]:
    """The table whose first heading is *executor*: by name, then by heading."""
    (table,) = [one for one in tables(text) if one[0][0] == "executor"]
    return {words([row[0]])[0]: dict(zip(table[0], row, strict=True)) for row in table[1:]}


def said_of(able: Capabilities) -> dict[str, str]:
    """What the capability columns of README.md say of an executor."""
    survives = "there are none" if able.in_process else YES_OR_NO[able.survives_worker_death]
    return {
        "runs where": ISOLATION[able.isolation],
        "survives a dying worker": survives,
        "hard timeouts": YES_OR_NO[able.hard_timeout],
    }


@pytest.mark.parametrize("name", ["README.md", "docs/pages/explanation/executors.md"])
def test_every_executor_is_in_the_table(name: str, root: Path) -> None:
    assert set(by_executor((root / name).read_text("utf-8"))) == executors_of_the_repository(root)


def test_the_table_of_readme_says_what_executors_claim(root: Path) -> None:
    shown = by_executor((root / "README.md").read_text("utf-8"))
    assert all(row["not for"] for row in shown.values())
    for name, able in capabilities(shown):
        assert {heading: shown[name][heading] for heading in said_of(able)} == said_of(able), name


def test_the_table_of_capabilities_is_that_of_the_specs(root: Path) -> None:
    shown = by_executor(page(root, "explanation/executors.md"))
    for name, able in capabilities(shown):
        claimed = {
            field: f"`{value}`" if isinstance(value, str) else YES_OR_NO[value] for field, value in asdict(able).items()
        }
        assert {words([heading])[0]: cell for heading, cell in shown[name].items() if "`" in heading} == claimed, name


def capabilities(names: Iterable[str]) -> Iterator[tuple[str, Capabilities]]:
    """What those that are installed claim; `sync` always is."""
    installed = {entry.name: spec for entry, spec in Kernel().usable("executors")}
    assert "sync" in installed
    for name in names:
        if name in installed:
            yield name, installed[name].capabilities


def test_every_executor_has_a_column_where_something_dies(root: Path) -> None:
    (table,) = [one for one in tables(page(root, "explanation/guarantees.md")) if one[0][0] == "what happens"]
    assert set(words(table[0])) - {"ProcessPoolExecutor"} == executors_of_the_repository(root)
    assert all(len(row) == len(table[0]) for row in table)


# --- families, settings, options ---


def test_the_table_of_families_is_that_of_the_kernel(root: Path) -> None:
    (table,) = [one for one in tables(page(root, "explanation/kernel.md")) if one[0][0] == "family"]
    shown = {row[0]: words(row[1:3]) for row in table[1:]}
    assert shown == {family.name: [family.group, family.provider] for family in FAMILIES.values()}


def test_every_setting_is_in_the_table(root: Path) -> None:
    shown = words(column(page(root, "reference/settings.md"), "setting"))
    assert sorted(shown) == sorted(KINDS)


@pytest.mark.parametrize("name", ["csv", "jsonl", "json", "memory"])
def test_every_option_of_a_format_is_in_its_table(root: Path, name: str) -> None:
    section = re.split(r"^## ", page(root, "reference/formats.md"), flags=re.MULTILINE)
    (text,) = [one for one in section if one.startswith(f"{name}\n")]
    model = Kernel().spec("formats", name).options
    (table,) = [one for one in tables(text) if one[0][0] == "option"]
    shown = {words([row[0]])[0]: ast.literal_eval(words([row[1]])[0]) for row in table[1:]}
    assert shown == {option: field.default for option, field in model.model_fields.items()}


def test_suffixes_of_formats_are_in_the_table(root: Path) -> None:
    (table,) = [one for one in tables(page(root, "reference/formats.md")) if one[0][0] == "format"]
    shown = {words([row[0]])[0]: tuple(words([row[1]])) for row in table[1:]}
    kernel = Kernel()
    names = [entry.name for entry in kernel.index.entries("formats") if entry.distribution == "pipe-core"]
    assert shown == {name: kernel.spec("formats", name).suffixes for name in names}


def test_suffixes_of_formats_of_packages_are_in_the_table(root: Path) -> None:
    (table,) = [one for one in tables(page(root, "reference/formats.md")) if one[0][0] == "formats"]
    shown = {words([row[0]])[0]: tuple(words([row[1]])) for row in table[1:]}
    installed = {entry.name: (entry.distribution, spec) for entry, spec in Kernel().usable("formats")}
    packages = ("pipe-arrow", "pipe-sql", "pipe-delta", "pipe-kafka")
    ours = [name for name, (distribution, _) in installed.items() if distribution in packages]
    assert {name: shown.get(name) for name in ours} == {name: installed[name][1].suffixes for name in ours}


def test_options_of_the_codec_are_in_the_table(root: Path) -> None:
    (table,) = [one for one in tables(page(root, "reference/codec.md")) if one[0][0] == "option"]
    shown = {words([row[0]])[0]: ast.literal_eval(words([row[1]])[0]) for row in table[1:]}
    fields = Kernel().spec("codecs", "msgpack").options.model_fields
    assert shown == {option: field.default for option, field in fields.items()}


def test_limits_are_those_of_the_security_page(root: Path) -> None:
    """The page on security has those of all that has limits, the page on formats those of core's formats."""
    (table,) = [one for one in tables(page(root, "reference/formats.md")) if one[0] == ["option", "default", "of"]]
    everything = {
        (row[1], row[2]): row[3] for one in tables((root / "SECURITY.md").read_text("utf-8")) for row in one[1:]
    }
    for option, default, formats in table[1:]:
        assert everything[option, default].startswith(formats)


# --- project files ---

KINDS_OF_KEYS = {
    fields.Text: "text",
    str: "text",
    fields.Names: "names",
    fields.Selection: "selection",
    fields.Positive: "number from 1",
    fields.Iso: "date",
    fields.Parameters: "parameters",
    fields.Flag: "true or false",
    fields.Seconds: "seconds",
    fields.Delay: "seconds from 0",
    fields.Factor: "factor from 1",
    fields.Share: "0 to 1",
    fields.Metrics: "names or mapping",
    fields.Options: "mapping",
    fields.Plain: "any",
    dict[fields.Text, fields.Amount]: "numbers by name",
    models.Flow: "data sets",
    models.Retries: "number from 0, or retries",
    models.Streaming: "true or false, or streaming",
    models.Breaker: "true or false, or breaker",
    models.ContractsConfig: "contracts",
}
ODD_KEYS = {
    ("key of the project", "name"): ("text", "the folder's name"),
    ("key of a data set", "format"): ("text", "by the path"),
    ("key of a data set", "as"): (None, "by the format"),
    ("key of a data set", "schema"): ("reference", "none"),
    ("key of a contract", "schema"): ("reference", "required"),
    ("key of a node", "function"): ("reference", "required"),
    ("key of streaming", "trigger"): ("seconds, or `available_now`", "`1.0`"),
    ("key of a pipeline", "nodes"): ("list of names", "required"),
}
GIVEN = {"key of a node": {"name"}, "key of a pipeline": {"name", "overrides"}}


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("key of the project", models.ProjectSettings),
        ("key of a data set", models.DatasetConfig),
        ("key of a node", models.NodeConfig),
        ("key of retries", models.RetryConfig),
        ("key of a breaker", models.BreakerConfig),
        ("key of streaming", models.StreamingConfig),
        ("key of a contract", models.ContractConfig),
        ("key of a pipeline", models.PipelineConfig),
    ],
)
def test_keys_of_project_files_are_those_of_the_models(root: Path, heading: str, model: type[BaseModel]) -> None:
    (table,) = [one for one in tables(page(root, "reference/project-file.md")) if one[0][0] == heading]
    shown = {name: (row[1], row[2]) for row in table[1:] for name in words([row[0]])}
    hints = get_type_hints(model, include_extras=True)
    known = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in GIVEN.get(heading, ()):
            continue
        kind, default = ODD_KEYS.get((heading, key), (None, None))
        known[key] = (kind or kind_of_key(hints[name]), default or default_of_key(field))
    assert shown == known


def kind_of_key(hint: Any) -> str:
    """How the page calls what a key takes."""
    if isinstance(hint, UnionType) or get_origin(hint) is Union:
        (hint,) = [one for one in get_args(hint) if one is not type(None)]
    if get_origin(hint) is Literal:
        return ", ".join(f"`{one}`" for one in get_args(hint))
    return KINDS_OF_KEYS[hint]


def default_of_key(field: FieldInfo) -> str:
    """How the page calls what holds where a key is left out."""
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default is None:
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default}`" if isinstance(default, str | int | float) else "nothing"


def test_top_keys_of_project_files_are_those_that_are_read(root: Path) -> None:
    assert sorted(words(column(page(root, "reference/project-file.md"), "top key"))) == sorted(TOP)


# --- command line, API ---


def test_exit_codes_are_those_of_the_command_line(root: Path) -> None:
    rows = re.findall(r"^\| \d+ \|.*\|$", exits.__doc__ or "", re.MULTILINE)
    assert rows == re.findall(r"^\| \d+ \|.*\|$", page(root, "reference/command-line.md"), re.MULTILINE) != []


def test_every_command_and_switch_is_named(root: Path) -> None:
    from pipe_core.cli.app import COMMANDS, app

    text = page(root, "reference/command-line.md")
    assert {name for name in COMMANDS if f"`pipe {name}" not in text} == set()
    told_by_list = {"plugins", "doctor", "demo"}
    commands = [app.get_command(Context(app), name) for name in COMMANDS if name not in told_by_list]
    switches = {name for one in commands if one for option in one.params for name in option.opts if name[:2] == "--"}
    assert len(switches) > 40
    assert sorted(switch for switch in switches if f"`{switch}`" not in text) == []


def test_errors_of_runs_that_are_kept_are_in_the_table(root: Path) -> None:
    known = {name for name, value in vars(runs_errors).items() if issubclass_of_error(value)} - {"PipeError"}
    assert set(words(column(page(root, "reference/errors.md"), "error"))) == known


def test_every_public_name_is_in_the_reference(root: Path) -> None:
    text = "".join(page(root, f"reference/{name}.md") for name in ("api", "hookspecs"))
    errors = {name for name in pipe_core.__all__ if issubclass_of_error(getattr(pipe_core, name))}
    contracts = {"Backend", "Codec", "Format", "Scheduler", "Sink", "Source"}  # the page of contracts has all of them
    shown = {*re.findall(r"::: pipe_core\.(\w+)", text), *re.findall(r"`(\w+)`", text), *errors, *contracts}
    assert sorted(set(pipe_core.__all__) - shown - {"__version__"}) == []


def issubclass_of_error(value: object) -> bool:
    """Whether *value* is an error: the page of errors is made from their module."""
    return isinstance(value, type) and issubclass(value, BaseException)


# --- links ---


def test_links_lead_somewhere(page: Path, root: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    missing = [one for one in targets if one and "://" not in one and not (page.parent / one).exists()]
    assert missing == []
    assert [one for one in targets if os.path.isabs(one)] == []


def test_pages_name_no_machine(page: Path) -> None:
    assert re.findall(r"/work/|/tmp/|/home/|localhost:|https?://[^\s)\"'`]+", page.read_text("utf-8")) == []
