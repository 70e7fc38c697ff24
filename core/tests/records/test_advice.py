"""Which executor is advised, by facts that are made up here; nothing is measured."""

from __future__ import annotations

from typing import Any

import pytest

from pipe_core.records.advice.rules import CLUSTER, GAIN, RULES, Facts, advise, duration, estimate

ALL = ("asyncio", "dask", "loky", "ray", "sync", "threads")
LIGHT = 10e-6
"""Seconds of computing for a record that is only validated."""


def facts(records: int | None = None, cpu: float | None = None, waiting: float = 0.0, **more: Any) -> Facts:
    known = {} if cpu is None else {"cpu": cpu, "waiting": waiting, "sampled": 200}
    return Facts(**{"cores": 4, "records": records, **known, **more})


MATRIX = [
    ("small CSV validation", facts(3_000, LIGHT, splittable=True), "sync"),
    ("large CSV processing", facts(20_000_000, LIGHT, splittable=True), "loky"),
    ("ETL from database", facts(200_000, 1e-3, splittable=True), "loky"),
    ("API enrichment", facts(10_000, LIGHT, 0.05), "threads"),
    ("API enrichment, async", facts(10_000, LIGHT, 0.005, asynchronous=True, overlap=10), "asyncio"),
    ("massive data migration", facts(10**9, LIGHT, splittable=True, cluster="ray"), "ray"),
    ("real-time streaming", facts(live=True), "sync"),
    ("real-time streaming, async", facts(live=True, asynchronous=True), "asyncio"),
    ("batch processing pipeline", facts(1_000_000, 1e-4), "loky"),
    ("batch processing pipeline, with a cluster", facts(10_000_000, 1e-4, cluster="ray"), "ray"),
]
"""The rows of the decision matrix, as facts."""

CHART = [
    ("small", facts(100_000, 5e-6, splittable=True), "sync"),
    ("medium, one machine, computing", facts(20_000_000, LIGHT, splittable=True), "loky"),
    ("medium, one machine, waiting", facts(1_000_000, LIGHT, 1e-3), "threads"),
    ("medium, several machines", facts(50_000_000, LIGHT, splittable=True, cluster="ray"), "ray"),
    ("large, several machines, Dask", facts(200_000_000, LIGHT, splittable=True, cluster="dask"), "dask"),
    ("large, no cluster: start with processes", facts(200_000_000, LIGHT, splittable=True), "loky"),
]
"""The ways through the flow chart."""

MORE = [
    ("the sample ended its process", facts(dies="SIGSEGV", unsampled="SIGSEGV"), "loky"),
    ("too few to look", facts(100, few=True), "sync"),
    ("no sample", facts(10**6, unsampled="it hung"), "sync"),
    ("no sample, async", facts(10**6, unsampled="it hung", asynchronous=True), "asyncio"),
    ("nobody knows how many", facts(None, 1e-3), "sync"),
    ("cannot travel, computing", facts(10**6, 1e-3, stuck="a lock"), "sync"),
    ("cannot travel, ends its process", facts(stuck="a lock", dies="SIGSEGV"), "sync"),
    ("cannot travel, waiting", facts(10**6, LIGHT, 1e-3, stuck="a lock"), "threads"),
    ("one core", facts(100_000, 1e-3, cores=1), "sync"),
    ("one core, waiting", facts(100_000, LIGHT, 1e-3, cores=1), "threads"),
    ("a light list: sending it costs more", facts(1_000_000, 4e-6), "sync"),
    ("a small part of it is known, and that is little", facts(1_000, 1e-4, at_least=True), "sync"),
    ("too little for the cluster", facts(20_000, 1e-3, cluster="ray"), "loky"),
]


@pytest.mark.parametrize(
    ("case", "known", "executor"), MATRIX + CHART + MORE, ids=[row[0] for row in MATRIX + CHART + MORE]
)
def test_the_executor_for(case: str, known: Facts, executor: str) -> None:
    advice = advise(known, ALL)

    assert advice.executor == advice.best == executor, advice.reason
    assert advice.install is None
    assert advice.facts is known


def test_every_rule_decides_some_case() -> None:
    decided = {advise(known, ALL).rule for _, known, _ in MATRIX + CHART + MORE}

    assert decided == {rule.name for rule in RULES}


def test_every_rule_names_executors_that_there_are() -> None:
    assert {name for rule in RULES for name in rule.executors} <= {*ALL, CLUSTER}


@pytest.mark.parametrize(
    ("known", "installed", "executor", "best"),
    [
        (facts(200_000, 1e-3), ("sync",), "sync", "loky"),
        (facts(200_000, 1e-3), ("sync", "threads"), "sync", "loky"),
        (facts(200_000, 1e-3), ("dask", "sync"), "dask", "loky"),
        (facts(10_000, LIGHT, 0.05), ("asyncio", "sync"), "asyncio", "threads"),
        (facts(live=True, asynchronous=True), ("sync",), "sync", "asyncio"),
        (facts(10_000_000, 1e-4, cluster="ray"), ("loky", "sync"), "loky", "ray"),
    ],
)
def test_what_is_best_but_not_installed_is_named_with_its_command(
    known: Facts, installed: tuple[str, ...], executor: str, best: str
) -> None:
    advice = advise(known, installed)

    assert (advice.executor, advice.best) == (executor, best)
    assert advice.install == f"pip install pipe-{best}"
    assert f"'{best}', which is not installed: pip install pipe-{best}" in advice.reason


def test_an_address_goes_to_the_cluster_only() -> None:
    large = facts(10**9, LIGHT, cluster="ray", address="ray://head:10001")
    small = facts(10, LIGHT, cluster="ray", address="ray://head:10001")

    assert advise(large, ALL).options == {"address": "ray://head:10001"}
    assert advise(small, ALL).options == {}


# --- reasons ---


def test_a_reason_gives_numbers() -> None:
    reason = advise(facts(20_000, 1e-3, start=0.4, splittable=True), ALL).reason

    assert reason == "about 20,000 records of 1 ms each take 20 s on 'sync', mostly computing; on 'loky' about 5.4 s"


def test_a_reason_says_why_workers_do_not_pay() -> None:
    reason = advise(facts(100_000, 1e-3, cores=1), ALL).reason

    assert "'loky' would take about 100 s on one core, which is no gain" in reason


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (facts(10**6, 1e-3, stuck="the attribute 'lock' is a lock"), "cannot have it: the attribute 'lock' is a lock"),
        (facts(10**6, unsampled="it did not end"), "no sample was taken: it did not end"),
        (facts(dies="SIGSEGV"), "the sample ended its process (SIGSEGV)"),
        (facts(None, 1e-3), "nobody can tell how many records there are"),
        (facts(None, size=3_000, few=True), "3,000 bytes, done before workers would have started"),
        (facts(10_000, LIGHT, 0.05), "100% of it waiting"),
        (facts(5_000_000, 1e-3, at_least=True), "at least 5,000,000 records"),
    ],
)
def test_a_reason_says(known: Facts, words: str) -> None:
    assert words in advise(known, ALL).reason


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (12e-6, "12 µs"),
        (1.5e-3, "1.5 ms"),
        (0.25, "250 ms"),
        (3.2, "3.2 s"),
        (119, "119 s"),
        (300, "5 min"),
        (9000, "2.5 h"),
    ],
)
def test_times_are_legible(seconds: float, text: str) -> None:
    assert duration(seconds) == text


# --- estimates ---


def test_threads_wait_together_but_compute_in_turn() -> None:
    assert estimate("threads", facts(1_000, 0.0, 0.1)) == pytest.approx(100 / 20)
    assert estimate("threads", facts(1_000, 0.1, 0.0)) == pytest.approx(100)


def test_calls_that_waited_together_in_the_sample_are_not_counted_twice() -> None:
    known = facts(1_000, 0.0, 0.1, asynchronous=True, overlap=10, concurrency=10)

    assert estimate("asyncio", known) == estimate("sync", known) == pytest.approx(100)


def test_processes_cost_their_start_and_share_the_rest() -> None:
    assert estimate("loky", facts(1_000, 0.1, start=0.25)) == pytest.approx(25.25)
    assert estimate("dask", facts(1_000, 0.1, start=0.25)) > 25.25  # type: ignore[operator]  # it is known


def test_records_that_are_sent_cost_the_driver_more_than_those_that_workers_read() -> None:
    sent, read = (estimate("loky", facts(10**7, 1e-6, splittable=split)) for split in (False, True))

    assert sent is not None
    assert read is not None
    assert sent > read


@pytest.mark.parametrize(
    ("executor", "known"),
    [
        ("sync", facts(10**6)),
        ("sync", facts(None, 1e-3)),
        ("ray", facts(10**6, 1e-3, cluster="ray")),
        ("loky", facts(10**6, 1e-3, stuck="a lock")),
        ("somebody-elses", facts(10**6, 1e-3)),
    ],
)
def test_what_nobody_can_tell_is_not_estimated(executor: str, known: Facts) -> None:
    assert estimate(executor, known) is None
    assert executor not in advise(known, (*ALL, "somebody-elses")).estimates


def test_workers_must_gain_their_share() -> None:
    for records in range(1_000, 60_000, 1_000):
        known = facts(records, 1e-3, start=2.0, cores=2)
        advice = advise(known, ALL)
        gained = 1 - advice.estimates["loky"] / advice.estimates["sync"]
        assert (advice.executor == "loky") == (gained >= GAIN), advice.reason
