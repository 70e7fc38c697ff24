"""`Project.load`: files, layers, variables, secrets, and what comes of them."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

import pipe_core
from pipe_core.kernel.errors import ConfigError
from pipe_core.kernel.settings import PROJECT, Settings
from pipe_core.project.config.models import DatasetConfig, RetryConfig
from pipe_core.project.config.problems import ProjectConfigError, UnknownNameError
from pipe_core.project.config.secrets import reveal
from pipe_core.project.config.sections import TOP
from pipe_core.project.project import Project

Write = Callable[..., Path]

SHOP = """
    project: {name: shop, executor: sync, start_date: 2025-01-01, end_date: 2025-01-31}
    variables: {root: data}
    catalog:
      orders: {format: csv, path: "${root}/orders.csv", schema: "shop/models.py:Order"}
      clean: "${root}/clean.jsonl"
    nodes:
      extract:
        function: shop.etl.extract
        input: orders
        output: [clean]
        retries: 3
        tags: daily
        hyperparams: {depth: 6}
      transform: {function: "shop.etl:transform", input: [clean], dependencies: extract}
    pipelines:
      daily: {nodes: [extract, transform: {timeout: 5, hyperparams: {rate: 0.5}}]}
      short: [extract]
"""


def problems(path: object, **how: object) -> list[tuple[str, int | None, str | None, str]]:
    """What is wrong: file name, line, key, text."""
    with pytest.raises(ConfigError) as caught:
        Project.load(path, **how)  # type: ignore[arg-type]  # what it must refuse
    assert isinstance(caught.value, ProjectConfigError)
    return [(Path(one.path).name, one.line, one.key, one.text) for one in caught.value.problems]


# --- what comes of a file ---


def test_a_file_becomes_typed_objects(write: Write, folder: Path) -> None:
    project = pipe_core.Project.load(write(SHOP))

    assert (project.name, project.folder, project.env) == ("shop", folder, None)
    assert project.settings.start_date == "2025-01-01"
    assert project.datasets["clean"] == DatasetConfig(path="data/clean.jsonl")
    extract = project.nodes["extract"]
    assert (extract.input, extract.output, extract.retries, extract.tags) == (("orders",), ("clean",), 3, ("daily",))
    assert project.get_pipeline("daily").nodes == ("extract", "transform")
    assert project.get_pipeline("daily").overrides == {"transform": {"timeout": 5.0, "hyperparams": {"rate": 0.5}}}
    assert project.get_pipeline("short").type == "batch"
    schema = project.datasets["orders"].record_schema
    assert project.function("extract")([{"id": 1}]) == [schema(id=1)]


def test_models_do_not_change(write: Write) -> None:
    project = Project.load(write(SHOP))

    with pytest.raises(ValueError, match="frozen"):
        project.nodes["extract"].retries = 0  # type: ignore[misc]  # it is frozen
    with pytest.raises(TypeError):
        project.nodes["new"] = project.nodes["extract"]  # type: ignore[index]  # it cannot be changed


def test_the_folder_has_its_project_and_so_have_those_below(write: Write, folder: Path) -> None:
    write(SHOP)
    (folder / "shop" / "deep").mkdir()

    for start in (folder, folder / "shop" / "deep", str(folder / "shop")):
        assert Project.load(start).folder == folder


def test_where_there_is_no_project_the_error_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no pipe\.yaml.*pipe init"):
        Project.load(tmp_path)
    with pytest.raises(ConfigError, match="no file or folder"):
        Project.load(tmp_path / "nope")


def test_a_folder_with_two_projects_asks_which(write: Write, folder: Path) -> None:
    write(SHOP)
    write('{"nodes": {}}', "pipe.json")

    with pytest.raises(ConfigError, match=r"pipe\.yaml and pipe\.json: which"):
        Project.load(folder)


def test_a_mapping_may_hold_functions_and_data_anywhere(tmp_path: Path) -> None:
    def double(orders: list[int]) -> list[int]:
        return [one * 2 for one in orders]

    data = {
        "catalog": {"orders": str(tmp_path / "orders.jsonl"), "doubled": {"path": str(tmp_path / "x.jsonl")}},
        "nodes": {"double": {"function": double, "input": ["orders"], "output": "doubled"}, "again": double},
        "pipelines": {"all": ["double"]},
    }
    project = Project.load(data)

    assert project.function("double") is double is project.function("again")
    assert project.nodes["double"].output == ("doubled",)
    assert project.folder == Path.cwd()
    assert problems({"nodes": {"a": {"function": double, "retires": 1}}})[0][:3] == (
        "the mapping given",
        None,
        "nodes.a.retires",
    )


# --- languages ---

LANGUAGES = {
    "pipe.yaml": """
        project: {name: shop}
        catalog:
          orders: {path: orders.csv, options: {delimiter: ";"}}
        nodes:
          extract:
            function: shop.etl.extract
            input: [orders]
            retries: {attempts: 2, jitter: 0}
        pipelines:
          daily: {nodes: [extract], start_date: 2025-01-01}
    """,
    "pipe.toml": """
        [project]
        name = "shop"
        [catalog.orders]
        path = "orders.csv"
        options.delimiter = ";"
        [nodes.extract]
        function = "shop.etl.extract"
        input = ["orders"]
        retries = {attempts = 2, jitter = 0}
        [pipelines]
        daily = {nodes = ["extract"], start_date = 2025-01-01}
    """,
    "pipe.json": """
        {
          "project": {"name": "shop"},
          "catalog": {"orders": {"path": "orders.csv", "options": {"delimiter": ";"}}},
          "nodes": {"extract": {
            "function": "shop.etl.extract",
            "input": ["orders"],
            "retries": {"attempts": 2, "jitter": 0}
          }},
          "pipelines": {"daily": {"nodes": ["extract"], "start_date": "2025-01-01"}}
        }
    """,
    "pipe.py": """
        project = {"name": "shop"}
        catalog = {"orders": {"path": "orders.csv", "options": {"delimiter": ";"}}}
        nodes = {"extract": {
            "function": "shop.etl.extract",
            "input": ["orders"],
            "retries": {"attempts": 2, "jitter": 0},
        }}
        pipelines = {"daily": {"nodes": ["extract"], "start_date": "2025-01-01"}}
    """,
}


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_language_says_the_same(write: Write, name: str) -> None:
    project = Project.load(write(LANGUAGES[name], name))
    other = Project.load(write(LANGUAGES["pipe.yaml"], "other.yaml"))

    assert project.settings == other.settings
    assert (dict(project.datasets), dict(project.nodes)) == (dict(other.datasets), dict(other.nodes))
    assert dict(project.pipelines) == dict(other.pipelines)
    assert project.nodes["extract"].retries == RetryConfig(attempts=2, jitter=0)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("pipe.yaml", (4, 7, 8, 11)),
        ("pipe.toml", (5, 8, 9, 12)),
        ("pipe.json", (4, 6, 7, 10)),
        ("pipe.py", (3, 5, 6, 9)),
    ],
)
def test_every_language_has_lines(write: Write, name: str, lines: tuple[int, ...]) -> None:
    project = Project.load(write(LANGUAGES[name], name))
    places = [
        ("catalog", "orders", "path"),
        ("nodes", "extract", "function"),
        ("nodes", "extract", "input", 0),
        ("pipelines", "daily", "start_date"),
    ]

    assert [project.place(*place) for place in places] == [f"{name}:{line}" for line in lines]


def test_lines_of_odd_toml_are_those_of_an_editor(write: Write) -> None:
    text = '''
        [variables]
        "quoted" = """a
        [nodes]
        b"""
        plain = \'\'\'
        x = 1\'\'\' # [comment]
        [catalog]
        a.path = "a.csv" # path
        b = { path = "b.csv", options = { delimiter = "]" } }
        [[odd]]
        x = [
          1, # ]
          "]",
          { y = 2 },
        ]
        [[odd]]
        z = 1
    '''
    found = problems(write(text, "pipe.toml"))

    assert [(line, key) for _, line, key, _ in found] == [(11, "odd")]
    from pipe_core.project.config.toml_document import load_toml

    document = load_toml(write(text, "pipe.toml"))
    wanted = {
        ("variables", "quoted"): 3,
        ("variables", "plain"): 6,
        ("catalog", "a", "path"): 9,
        ("catalog", "b", "options", "delimiter"): 10,
        ("odd", 0): 11,
        ("odd", 0, "x", 0): 13,
        ("odd", 0, "x", 1): 14,
        ("odd", 0, "x", 2, "y"): 15,
        ("odd", 1, "z"): 18,
    }
    assert {place: document.lines.get(place) for place in wanted} == wanted


# --- several files ---


def test_included_files_add_up(write: Write) -> None:
    path = write(
        "include: [conf/*.yaml, conf/more.toml]\npipelines: {all: [one, two]}\n",
        **{"conf/a": "nodes: {one: single.step}\n", "conf/b": "variables: {x: 1}\nenvironments: {dev: {}}\n"},
    )
    write('[nodes.two]\nfunction = "single.step"\n', "conf/more.toml")
    project = Project.load(path, env="dev")

    assert list(project.nodes) == ["one", "two"]
    assert project.place("nodes", "two", "function") == "conf/more.toml:2"


def test_what_two_files_say_is_refused_with_both_places(write: Write) -> None:
    path = write(
        "include: conf/a.yaml\nnodes:\n  one: single.step\nenvironments: {dev: {variables: {x: 1}}}\n",
        **{"conf/a": "variables: {}\nnodes:\n  one: single.step\nenvironments: {dev: {variables: {x: 2}}}\n"},
    )

    assert [(file, line, key) for file, line, key, _ in problems(path)] == [
        ("a.yaml", 3, "nodes.one"),
        ("a.yaml", 4, "environments.dev.variables.x"),
    ]
    assert "pipe.yaml:3" in problems(path)[0][3].replace("../", "")


# --- environments and overrides ---

ENVIRONMENTS = """
    variables: {root: data}
    catalog:
      orders: {path: "${root}/orders.csv", options: {delimiter: ";"}}
    nodes:
      step: {function: single.step, retries: {attempts: 5}, tags: [a, b]}
    environments:
      dev:
        variables: {root: dev}
      prod:
        catalog: {orders: {path: "s3://bucket/orders.csv"}}
        nodes: {step: {retries: 1, tags: [c]}, extra: single.step}
"""


def test_an_environment_is_merged_by_key(write: Write) -> None:
    path = write(ENVIRONMENTS, **{"pipe.prod": "nodes: {step: {timeout: 9}}\nvariables: {more: 1}\n"})
    base, dev, prod = (Project.load(path, env=env) for env in (None, "dev", "prod"))

    assert [one.datasets["orders"].path for one in (base, dev, prod)] == [
        "data/orders.csv",
        "dev/orders.csv",
        "s3://bucket/orders.csv",
    ]
    assert prod.datasets["orders"].options == {"delimiter": ";"}
    assert (prod.nodes["step"].retries, prod.nodes["step"].tags, prod.nodes["step"].timeout) == (1, ("c",), 9)
    assert list(base.nodes) == ["step"]
    assert list(prod.nodes) == ["step", "extra"]
    assert (base.environments, prod.env) == (("dev", "prod"), "prod")
    assert Project.load(path, env="base").nodes == base.nodes


def test_what_is_said_in_short_is_merged_like_the_rest(write: Write) -> None:
    path = write(
        "catalog: {a: a.csv}\nnodes: {n: single.step}\npipelines: {p: [n]}\n",
        **{"pipe.prod": "catalog: {a: {mode: append}}\nnodes: {n: {retries: 2}}\npipelines: {p: {type: ml}}\n"},
    )
    project = Project.load(path, env="prod", overrides={"catalog.a": "b.csv"})

    assert (project.datasets["a"].path, project.datasets["a"].mode) == ("b.csv", "append")
    assert (project.nodes["n"].function, project.nodes["n"].retries) == ("single.step", 2)
    assert (project.pipelines["p"].nodes, project.pipelines["p"].type) == (("n",), "ml")


def test_null_takes_a_value_away(write: Write) -> None:
    path = write(ENVIRONMENTS, **{"pipe.prod": "nodes: {step: {tags: null, retries: null}}\n"})

    node = Project.load(path, env="prod").nodes["step"]
    assert (node.tags, node.retries) == ((), None)


@pytest.mark.parametrize(
    "said", [{"project.name": "a", "project.name.x": "b"}, {"project": 5}, {"": 1}, {"nodes": {"step": 3}}, {"...": 1}]
)
def test_odd_overrides_are_told_like_mistakes_of_files(write: Write, said: dict[str, object]) -> None:
    assert {one[0] for one in problems(write(ENVIRONMENTS), overrides=said)} == {"overrides"}


def test_an_unknown_environment_lists_those_there_are(write: Write) -> None:
    path = write(ENVIRONMENTS, **{"pipe.stage": "nodes: {}\n"})

    with pytest.raises(UnknownNameError, match=r"'prd'\. Did you mean 'prod'\? Known: dev, prod, stage\.") as caught:
        Project.load(path, env="prd")
    assert caught.value.known == ("dev", "prod", "stage")


def test_overrides_are_above_everything(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("root", "from_environment")
    path = write(ENVIRONMENTS.replace("step:", "'a.step':"))
    said = {"nodes.a.step.retries": "7", "variables.root": "chosen", "project": {"max_workers": "2"}}
    project = Project.load(path, env="prod", overrides=said)

    assert project.nodes["a.step"].retries == 7
    assert project.settings.max_workers == 2
    assert Project.load(path, overrides=said).datasets["orders"].path == "chosen/orders.csv"
    assert Project.load(path).datasets["orders"].path == "from_environment/orders.csv"
    assert problems(path, overrides={"nodes.a.step.retires": 1})[0][:3] == ("overrides", None, "nodes.a.step.retires")
    assert problems(path, overrides={"node.x": 1})[0][2] == "node"


def test_a_name_that_only_another_layer_says_may_be_mistyped(write: Write) -> None:
    words = "the key 'function' is missing, and nothing else says what 'stp' is. Did you mean 'step'?"
    path = write(ENVIRONMENTS, **{"pipe.dev": "nodes: {stp: {retries: 1}}\n"})

    assert [one[2:] for one in problems(path, overrides={"nodes.stp.retries": 1})] == [("nodes.stp", words)]
    with pytest.raises(ConfigError) as caught:
        Project.load(path, env="dev")
    assert words in str(caught.value)
    plain = problems(write("nodes: {step: {function: single.step}, stp: {retries: 1}}\n"))
    assert [one[2:] for one in plain] == [("nodes.stp", "the key 'function' is missing")]


def test_every_value_knows_who_said_it(write: Write) -> None:
    path = write(ENVIRONMENTS, **{"pipe.prod": "nodes: {step: {tags: [d]}}\n"})
    project = Project.load(path, env="prod", overrides={"nodes.step.tags": ["e"]})

    history = project.provenance("nodes", "step", "tags")
    assert [(one.layer, one.place, one.value) for one in history] == [
        ("overrides", "overrides", ["e"]),
        ("environment prod", "pipe.prod.yaml:1", ["d"]),
        ("environment prod", "pipe.yaml:12", ["c"]),
        ("pipe.yaml", "pipe.yaml:6", ["a", "b"]),
    ]
    (path_said, _) = project.provenance("catalog", "orders", "path")
    assert str(path_said) == "pipe.yaml:11 (environment prod): 's3://bucket/orders.csv'"
    (base,) = Project.load(path).provenance("catalog", "orders", "path")
    assert base.variables == (("root", "variables"),)
    assert project.provenance("nodes", "step", "timeout") == ()
    assert project.place("nodes", "step", "timeout") == "pipe.yaml:6"
    assert project.place("nodes", "extra") == "pipe.yaml:12"


def test_what_was_replaced_has_no_place_any_more(write: Write) -> None:
    text = ENVIRONMENTS.replace("{retries: 1, tags: [c]}", "{retries: {attempts: 2}}")
    path = write(text, **{"pipe.prod": "nodes: {step: {retries: 1}}\n"})
    project = Project.load(path, env="prod", overrides={"nodes.step.retries": {"delay": 2}})

    assert project.nodes["step"].retries == RetryConfig(delay=2)
    assert project.place("nodes", "step", "retries", "attempts") == "overrides"


# --- variables ---


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${a}", "A"),
        ("x${a}y${a}", "xAyA"),
        ("${b}", "xA"),
        ("${none:-d}", "d"),
        ("${none:-}", ""),
        ("${none:-${other:-${a}}}z", "Az"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY}", ""),
        ("${FROM}", "environment"),
        ("${a:-unused}", "A"),
        ("$${a} $a {a} 5$", "${a} $a {a} 5$"),
        ("${number}", 3),
        ("${flag}", True),
        ("n${number}-${flag}", "n3-true"),
        ("${NUMBER}", 0.5),
        ("${none:-12}", 12),
        ("${none:-true}", True),
        ("${none:-012}", "012"),
        ("1${NUMBER}", "10.5"),
    ],
)
def test_names_stand_for_values(write: Write, monkeypatch: pytest.MonkeyPatch, text: str, value: object) -> None:
    for name, said in {"FROM": "environment", "EMPTY": "", "NUMBER": "0.5"}.items():
        monkeypatch.setenv(name, said)
    variables = "{a: A, b: 'x${a}', FROM: variables, number: 3, flag: true}"
    path = write(f"variables: {variables}\nnodes: {{n: {{function: single.step, hyperparams: {{v: '{text}'}}}}}}\n")

    found = Project.load(path).nodes["n"].hyperparams["v"]
    assert found == value
    assert type(found) is type(value)


def test_numbers_and_flags_from_the_environment_are_read_where_they_are_wanted(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTEMPTS", "4")
    monkeypatch.setenv("VERSION", "1.10")
    path = write(
        "project: {allow_pickle: '${PICKLES:-true}'}\n"
        "nodes:\n"
        "  n: {function: single.step, retries: '${ATTEMPTS}', timeout: '${T:-1.5}', model_version: '${VERSION}'}\n"
    )
    project = Project.load(path)

    node = project.nodes["n"]
    assert (node.retries, node.timeout, node.model_version, project.settings.allow_pickle) == (4, 1.5, "1.10", True)
    monkeypatch.setenv("ATTEMPTS", "many")
    assert problems(path)[0][1:3] == (3, "nodes.n.retries")


# --- secrets ---

CANARY = "hunter2-c4n4ry"


def test_a_secret_is_never_shown(
    write: Write, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("DB_PASSWORD", CANARY)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///x.db?table=a&password={CANARY}")
    text = """
        variables: {store: "s3://user:${secret:DB_PASSWORD}@bucket"}
        catalog:
          orders: {path: "${store}/orders.csv"}
          whole: {path: "${secret:DATABASE_URL}"}
          options: {path: x.csv, options: {delimiter: "${secret:DB_PASSWORD}"}}
        nodes:
          n: {function: single.step, executor: {name: sync, token: "${secret:DB_PASSWORD}"}}
    """
    path = write(text.replace('delimiter: "${secret:DB_PASSWORD}"', 'delimiter: ";"'))
    project = Project.load(path)

    assert project.datasets["orders"].path == "s3://user:${secret:DB_PASSWORD}@bucket/orders.csv"
    assert reveal(project.datasets["orders"].path) == f"s3://user:{CANARY}@bucket/orders.csv"
    assert reveal(project.datasets["whole"].path).endswith(CANARY)
    assert reveal({"a": ["${secret:DB_PASSWORD}"]}) == {"a": [CANARY]}
    shown = [
        repr(project),
        repr(dict(project.datasets)),
        repr(dict(project.nodes)),
        project.datasets["orders"].model_dump_json(),
        str(project.provenance("catalog", "orders", "path")),
        str(project.provenance("variables", "store")),
        repr(project.catalog),
        repr(pickle.dumps(project.datasets["whole"])),
    ]
    assert CANARY not in "".join(shown)
    for wrong in (text, text + "  m: {function: single.step, hyperparams: {a: '${DB_PASSWORD}'}}\n"):
        with pytest.raises(ConfigError) as caught:
            Project.load(write(wrong))
        assert CANARY not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {caught.value.problems!r}"
    with pytest.raises(ConfigError, match=r"sounds like a secret: write \$\{secret:DB_PASSWORD\}"):
        Project.load(write("catalog: {a: '${DB_PASSWORD}.csv'}\n"))
    monkeypatch.setenv("STORE", f"s3://user:{CANARY}@bucket")
    with pytest.raises(ConfigError, match="a password in the URL"):
        Project.load(write("catalog: {a: '${STORE}/a.csv'}\n"))
    assert CANARY not in caplog.text


def test_a_secret_in_a_url_cannot_end_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "a/b@c?d")

    assert reveal("s3://u:${secret:PW}@h/x") == "s3://u:a%2Fb%40c%3Fd@h/x"
    assert reveal("${secret:PW}") == "a/b@c?d"
    monkeypatch.delenv("PW")
    with pytest.raises(ConfigError, match="no secret 'PW' here"):
        reveal(["${secret:PW}"])


# --- mistakes ---


def test_all_mistakes_are_told_at_once(write: Write) -> None:
    path = write("""
        projct: {name: shop}
        catalog:
          orders: {path: orders.csv, formt: csv}
          clean: {path: clean.parquetx}
        nodes:
          one: {function: shop.etl.extrct, input: [ordrs]}
          two: {input: [orders], retries: -1}
          three: {function: shop.etll.extract}
          four: {function: shop.etl.TABLE}
        pipelines:
          daily: {nodes: [one, tow], type: btch}
          empty: {nodes: []}
    """)
    found = problems(path)

    assert [(line, key) for _, line, key, _ in found] == [
        (2, "projct"),
        (4, "catalog.orders.formt"),
        (5, "catalog.clean.path"),
        (7, "nodes.one.input[0]"),
        (7, "nodes.one.function"),
        (8, "nodes.two"),
        (8, "nodes.two.retries"),
        (9, "nodes.three.function"),
        (10, "nodes.four.function"),
        (12, "pipelines.daily.nodes[1]"),
        (12, "pipelines.daily.type"),
        (13, "pipelines.empty.nodes"),
    ]
    texts = "\n".join(text for *_, text in found)
    for words in (
        "Did you mean 'project'?",
        "Did you mean 'format'?",
        "Did you mean 'extract'?",
        "Did you mean 'orders'?",
        "the key 'function' is missing",
        "Did you mean 'etl'?",
        "Did you mean 'two'?",
    ):
        assert words in texts


@pytest.mark.parametrize(
    ("node", "key", "words"),
    [
        ({"function": 5}, "function", "name a function: pkg.module.function"),
        ({"function": ""}, "function", "name a function"),
        ({"input": 3}, "input", "it must be a list"),
        ({"input": ["a.b", 3]}, "input[1]", "it must be text"),
        ({"input": {"path": "x.csv", "mode": "z"}}, "input.mode", "'error', 'overwrite', 'append' or 'ignore'"),
        ({"retries": {"attempts": 0}}, "retries.attempts", "greater than or equal to 1"),
        ({"retries": {"attemps": 1}}, "retries.attemps", "Did you mean 'attempts'? Known: attempts, delay, backoff"),
        ({"timeout": 0}, "timeout", "greater than 0"),
        ({"streaming": {"trigger": "never"}}, "streaming.trigger", "a number of seconds, or available_now"),
        ({"streaming": {"trigger": -1}}, "streaming.trigger", "more than 0 seconds"),
        ({"streaming": "yes"}, "streaming", "true or false"),
        ({"hyperparams": [1]}, "hyperparams", "it must be a mapping"),
        ({"tags": {"a": 1}}, "tags", "it must be text"),
        ({"contracts": {"inputs": {"x": {"policy": "thaw", "schema": "a"}}}}, "contracts.inputs.x.policy", "'evolve'"),
        ({"type": "dl"}, "type", "it should be 'ml'"),
    ],
)
def test_each_wrong_value_is_told_once_and_with_its_key(node: dict[str, object], key: str, words: str) -> None:
    ((_, _, where, text),) = problems({"catalog": {"a.b": "x.csv"}, "nodes": {"n": {"function": len, **node}}})

    assert where == f"nodes.n.{key}"
    assert words in text


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"start_date": "2025-02-01", "end_date": "2025-01-01"}, "before it starts"),
        ({"start_date": "2025-02-30"}, "no date: write it as 2025-01-31"),
        ({"start_date": 20250101}, "no date"),
        ({"end_date": "2025-01-01T12:00", "start_date": "2025-01-01"}, "mixes a date and a time"),
    ],
)
def test_dates_are_checked(said: dict[str, object], words: str) -> None:
    for data in ({"project": said}, {"nodes": {"n": len}, "pipelines": {"p": {"nodes": ["n"], **said}}}):
        ((*_, text),) = problems(data)
        assert words in text


def test_a_project_is_no_number() -> None:
    with pytest.raises(ConfigError, match="from a path or from a mapping, not from a int"):
        Project.load(5)  # type: ignore[arg-type]  # what it must refuse


def test_what_is_wrong_in_many_places_is_told_once(write: Write, folder: Path) -> None:
    (folder / "broken.py").write_text("import nothing_like_it\n")
    path = write("""
        nodes:
          one: broken.first
          two: broken.second
          three: broken.third
        pipelines: {daily: [one, two, three]}
    """)
    with pytest.raises(ProjectConfigError) as caught:
        Project.load(path)

    assert [one.key for one in caught.value.problems] == [f"nodes.{name}.function" for name in ("one", "two", "three")]
    assert str(caught.value).count("No module named 'nothing_like_it'") == 1
    assert str(caught.value).endswith(". The same: line 4, nodes.two.function; line 5, nodes.three.function")


def test_there_is_an_end_to_mistakes(write: Write) -> None:
    with pytest.raises(ProjectConfigError) as caught:
        Project.load(write("nodes:\n" + "".join(f"  n{i}: {{functoin: x.y}}\n" for i in range(900))))

    assert len(caught.value.problems) == 1000
    assert "… and 950 more" in str(caught.value)


def test_unknown_names_are_told_with_those_there_are(write: Write) -> None:
    project = Project.load(write(SHOP))

    with pytest.raises(UnknownNameError, match=r"no pipeline 'dayly'.*mean 'daily'\? There are: daily, short\."):
        project.get_pipeline("dayly")
    with pytest.raises(UnknownNameError, match=r"no node 'extrct'.*Did you mean 'extract'\?"):
        project.function("extrct")


# --- others ---


def test_the_catalog_is_made_of_the_data_sets(write: Write, folder: Path) -> None:
    project = Project.load(write(SHOP.replace("root: data", "root: .")))

    assert project.catalog is project.catalog
    assert project.catalog.names == ("orders", "clean")
    assert [one.id for one in project.catalog.load("orders")] == [1, 2]


def test_a_toml_project_is_no_file_of_settings(write: Write, folder: Path) -> None:
    assert set(TOP) == PROJECT
    write(LANGUAGES["pipe.toml"], "pipe.toml")

    assert Settings({}, folder).get("chunk_size").value is None
    write("chunk_size = 5\n", "pipe.toml")
    assert Settings({}, folder).get("chunk_size").value == 5
    with pytest.raises(ConfigError, match="no project"):
        Project.load(folder)


def test_a_large_project_is_read_with_each_module_once(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    names = range(500)
    data = {
        "catalog": {f"d{i}": f"d{i}.csv" for i in names},
        "nodes": {f"n{i}": {"function": "single.step", "input": [f"d{i}"], "retries": 1} for i in names},
        "pipelines": {"all": [f"n{i}" for i in names]},
    }
    from pipe_core.project.config import references

    calls: list[str] = []
    real = references.import_from
    monkeypatch.setattr(references, "import_from", lambda folder, name: calls.append(name) or real(folder, name))
    project = Project.load(write(json.dumps(data), "pipe.json"))

    assert len(project.nodes) == 500
    assert calls == ["single"]
