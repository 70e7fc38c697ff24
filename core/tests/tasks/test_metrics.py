"""OpenMetrics text: read back by a parser that takes nothing but what the format allows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from event_kinds import Work, Works

from pipe_core import OptionsError, Retry, TaskExecutor
from pipe_core.tasks.metrics import openmetrics

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"(?P<name>{NAME})\{{(?P<labels>.*)\}} (?P<value>[-+0-9.e]+)")
LABEL = re.compile(r'(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)="(?P<value>(?:[^"\\\n]|\\["\\n])*)"(?:,(?=.)|$)')
SUFFIXES = {"counter": {"_total"}, "gauge": {""}, "summary": {"", "_sum", "_count"}}
Labels = tuple[tuple[str, str], ...]


@dataclass
class Family:
    kind: str = ""
    unit: str = ""
    text: str = ""
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)


def parsed(text: str) -> dict[str, Family]:
    """As OpenMetrics 1.0 says; anything else fails."""
    assert text.endswith("\n# EOF\n")
    families: dict[str, Family] = {}
    name = ""
    for line in text.removesuffix("# EOF\n").splitlines():
        assert line == line.strip()
        if line.startswith("# "):
            _, word, of, said = line.split(" ", 3)
            if word == "TYPE":
                assert of not in families, "one family, one block"
                name, families[of] = of, Family(kind=said)
                assert said in SUFFIXES
                assert not of.endswith("_total")
            assert of == name
            if word == "UNIT":
                assert of.endswith(f"_{said}")
                families[of].unit = said
            elif word == "HELP":
                assert '"' not in said
                families[of].text = said
            else:
                assert word == "TYPE"
            assert not families[of].samples, "what describes comes first"
            continue
        found = SAMPLE.fullmatch(line)
        assert found, line
        family = families[name]
        suffix = found["name"].removeprefix(name)
        assert found["name"].startswith(name)
        assert suffix in SUFFIXES[family.kind], line
        labels = tuple(labels_of(found["labels"]))
        assert len({key for key, _ in labels}) == len(labels)
        quantiles = [float(said) for key, said in labels if key == "quantile"]
        assert bool(quantiles) == (family.kind == "summary" and not suffix)
        assert all(0 <= quantile <= 1 for quantile in quantiles)
        value = float(found["value"])
        assert value >= 0
        assert (suffix, labels) not in family.samples, "one sample, one line"
        family.samples[suffix, labels] = value
    assert all(family.text for family in families.values())
    return families


def labels_of(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = LABEL.match(text, at)
        assert found, text
        yield found["name"], re.sub(r"\\(.)", lambda it: {"n": "\n"}.get(it[1], it[1]), found["value"])
        at = found.end()


def value(families: dict[str, Family], name: str, suffix: str = "", **labels: str) -> float:
    [found] = [
        number
        for (end, given), number in families[name].samples.items()
        if end == suffix and {**dict(given), **labels} == dict(given)
    ]
    return found


def fail() -> None:
    raise ValueError


def test_a_task_executor_says_what_its_statistics_say() -> None:
    with ThreadPoolExecutor(2) as pool, TaskExecutor(pool) as executor:
        futures = [executor.submit(pow, 2, n) for n in range(40)]
        futures.append(executor.submit_with(retries=Retry(1, delay=0.0))(fail))
        executor.wait(futures)
        executor.pause()
        executor.submit(int).cancel()
        executor.submit(int)
        families, stats = parsed(executor.metrics_text()), executor.get_stats()
        executor.resume()
    assert value(families, "pipe_tasks_submitted", "_total") == stats.submitted_tasks == 43
    ended = {status: value(families, "pipe_tasks_ended", "_total", status=status) for status in ("completed", "failed")}
    assert ended == {"completed": 40, "failed": 1}
    assert value(families, "pipe_tasks_ended", "_total", status="cancelled") == 1
    assert value(families, "pipe_tasks_retries", "_total") == 1
    assert value(families, "pipe_tasks_waiting") == 1
    assert value(families, "pipe_tasks_running") == 0
    assert value(families, "pipe_tasks_slots") == 2
    assert value(families, "pipe_tasks_run_time_seconds", "_sum") == stats.total_execution_time
    assert value(families, "pipe_tasks_run_time_seconds", quantile="0.99") == stats.run_time.p99
    assert value(families, "pipe_tasks_queue_wait_seconds", quantile="1.0") == stats.queue_wait.max
    assert families["pipe_tasks_uptime_seconds"].unit == "seconds"
    assert {dict(labels)["executor"] for family in families.values() for _, labels in family.samples} == {
        "ThreadPoolExecutor"
    }


def test_an_executor_without_work_has_no_quantiles() -> None:
    with TaskExecutor("sync") as executor:
        families = parsed(executor.metrics_text())
    assert not families["pipe_tasks_queue_wait_seconds"].samples
    assert value(families, "pipe_tasks_run_time_seconds", "_sum") == 0


@pytest.mark.parametrize("said", ['a "b"', "back\\slash", "two\nlines", "ä, {x=1}", "\ud800", ""])
def test_labels_are_escaped(said: str) -> None:
    with TaskExecutor("sync") as executor:
        families = parsed(executor.metrics_text(host=said, shard=7))
    [labels] = [dict(labels) for _, labels in families["pipe_tasks_slots"].samples]
    assert labels == {
        "executor": "sync",
        "host": said if said.isprintable() or "\n" in said else "\\ud800",
        "shard": "7",
    }


@pytest.mark.parametrize("name", ["status", "executor", "quantile", "__name__", "a-b", "1st", ""])
def test_a_label_that_cannot_be_one(name: str) -> None:
    with TaskExecutor("sync") as executor, pytest.raises(OptionsError, match="label"):
        executor.metrics_text(**{name: "x"})


def test_an_event_executor_says_how_many_events_have_each_status() -> None:
    async def run() -> tuple[str, dict[str, int]]:
        executor = Works(name="notes")
        for _ in range(7):
            await executor.append(Work())
        await executor.forward()
        await executor.append(Work())
        assert await executor.cleanup_events(["failed"]) == 0
        return openmetrics(executor), executor.status_counts()

    text, counts = asyncio.run(run())
    families = parsed(text)
    assert {status: value(families, "pipe_events", status=status) for status in counts} == counts
    assert value(families, "pipe_events", status="completed") == 7
    assert value(families, "pipe_events_appended", "_total", executor="notes") == 8
