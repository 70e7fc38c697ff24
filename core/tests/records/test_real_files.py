"""Real files through a pipe, against counts made with `csv`, `json` and pydantic alone."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError, model_validator

from pipe_core import BaseHook, FlowReport, HookStore, Pipe
from pipe_core.records.entry import Entry

DATA = Path(__file__).parents[4] / "shared" / "data"


def _none_if_empty(value: Any) -> Any:
    return None if value == "" else value


Maybe = Annotated[float | None, BeforeValidator(_none_if_empty)]


class Runway(BaseModel):
    """Stricter than the file is: some hundreds of rows have no length, odd headings or a closed end."""

    id: int
    airport_ident: str = Field(pattern=r"^[A-Z0-9-]+$")
    length_ft: int = Field(gt=0)
    width_ft: Annotated[int | None, BeforeValidator(_none_if_empty)]
    surface: str = Field(min_length=1, max_length=12)
    lighted: bool
    closed: bool
    heading: Annotated[Annotated[float, Field(ge=0, le=360)] | None, BeforeValidator(_none_if_empty)] = Field(
        alias="le_heading_degT"
    )
    he_elevation_ft: Maybe

    @model_validator(mode="after")
    def longer_than_wide(self) -> Runway:
        if self.width_ft is not None and self.width_ft > self.length_ft:
            raise ValueError("wider than long")
        return self


class Country(BaseModel):
    id: int
    code: str = Field(pattern="^[A-Z]{2}$")
    name: str = Field(pattern="^[A-Za-z .]+$")
    continent: Literal["AF", "AN", "AS", "EU", "NA", "OC", "SA"]
    wikipedia_link: str = Field(pattern="^https://")
    keywords: str = Field(max_length=40)


class Movie(BaseModel):
    title: str = Field(alias="Title")
    gross: int | None = Field(alias="US Gross", ge=0)
    released: str = Field(alias="Release Date", pattern=r"^[A-Z][a-z]{2} \d\d \d{4}$")
    rating: float | None = Field(alias="IMDB Rating")
    minutes: int | None = Field(alias="Running Time min", gt=90)


class Expected(NamedTuple):
    """What pydantic alone says of a file."""

    good: list[Any]
    positions: list[int]
    reasons: Counter[tuple[str, str]]
    raw: list[Any]


def read_csv(path: Path) -> list[Any]:
    with path.open(newline="", encoding="utf-8") as file:
        return [*csv.DictReader(file)]


def read_json(path: Path) -> list[Any]:
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]  # JSON may be anything


FILES: dict[str, tuple[Any, Callable[[Path], list[Any]], int]] = {
    "runways.csv": (Runway, read_csv, 48_184),
    "countries.csv": (Country, read_csv, 249),
    "movies.json": (Movie, read_json, 3_201),
}


@pytest.fixture(params=FILES)
def name(request: pytest.FixtureRequest) -> str:
    file: str = request.param
    if not (DATA / file).exists():
        pytest.skip(f"the real files are not there: {DATA / file}")
    return file


@cache
def expected(name: str) -> Expected:
    schema, read, _ = FILES[name]
    adapter = TypeAdapter(schema)
    found = Expected([], [], Counter(), [])
    for position, record in enumerate(read(DATA / name)):
        try:
            found.good.append(adapter.validate_python(record))
        except ValidationError as error:
            found.positions.append(position)
            found.raw.append(record)
            for one in error.errors():
                place = ".".join(part for part in one["loc"] if isinstance(part, str))
                found.reasons[one["type"], place or "validation"] += 1
    return found


def reasons_of(report: FlowReport) -> Counter[tuple[str, str]]:
    return Counter({(kind.type, kind.location or kind.phase): kind.count for kind in report.histogram})


def assert_as_expected(name: str, source: Any, folder: Path, **options: Any) -> None:
    schema, _, rows = FILES[name]
    want = expected(name)
    assert 0 < len(want.positions) < rows, "both kinds are needed to compare"
    good, bad = folder / "good.jsonl", folder / "bad.jsonl"
    report = Pipe(source, good, errors=bad, schema=schema, mode="overwrite", **options).run()
    assert (report.read, report.valid, report.failed) == (rows, len(want.good), len(want.positions))
    assert reasons_of(report) == want.reasons
    rejected = [json.loads(line) for line in bad.read_bytes().splitlines()]
    assert [row["position"] for row in rejected] == want.positions
    assert [row["raw"] for row in rejected] == want.raw
    assert good.read_bytes() == b"".join(one.model_dump_json().encode() + b"\n" for one in want.good)


def test_the_counts_were_made_of_the_whole_file(name: str) -> None:
    want, (_, _, rows) = expected(name), FILES[name]
    assert len(want.good) + len(want.positions) == rows
    assert len(want.reasons) >= 2


def test_a_real_file_gives_what_pydantic_alone_gives(name: str, tmp_path: Path, executor: Any) -> None:
    assert_as_expected(name, DATA / name, tmp_path, executor=executor)


def test_a_real_file_packed_gives_the_same(name: str, tmp_path: Path) -> None:
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress((DATA / name).read_bytes(), compresslevel=1))
    assert_as_expected(name, packed, tmp_path)


def test_a_real_file_rewritten_by_a_pipe_gives_the_same(name: str, tmp_path: Path) -> None:
    rewritten = (
        tmp_path / {"runways.csv": "copy.jsonl", "countries.csv": "copy.json", "movies.json": "copy.jsonl.gz"}[name]
    )
    assert Pipe(DATA / name, rewritten).run().valid == FILES[name][2]
    assert_as_expected(name, rewritten, tmp_path)


class Look(BaseHook):
    def execute(self, entries: list[Entry], store: HookStore) -> None:
        assert all(entry.raw_data for entry in entries)


@pytest.mark.parametrize("name", ["countries.csv", "movies.json"], indirect=True)
def test_hooks_that_look_change_nothing_of_a_real_file(name: str, tmp_path: Path) -> None:
    hooks = {"pre_validation_hooks": [Look()], "post_validation_hooks": [Look(), lambda entry, store: None]}
    assert_as_expected(name, DATA / name, tmp_path, **hooks)
