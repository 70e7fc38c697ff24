"""Advice: from facts about a run to the executor on which it is best off. Pure rules: nothing is measured here.

`RULES` are looked at from the top, and the first one that holds names executors, the best first. One that starts
workers is taken only where they gain more than they cost; otherwise it is ``sync``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipe_core.kernel.families import FAMILIES

SYNC: Final = "sync"

SMALL_SECONDS: Final = 1.0
"""Work on ``sync`` that is over before workers would be of use."""
LONG_SECONDS: Final = 60.0
"""Work on all cores of this machine for which a cluster is worth its way, where one is configured."""
MOSTLY: Final = 0.5
"""The share of waiting from which a run is said to wait."""
GAIN: Final = 0.25
"""The share of the time on ``sync`` that workers must save."""
THREADS_PER_CORE: Final = 5
"""As the executor ``threads`` has them in a pipe."""
START_SECONDS: Final = 0.5
"""What a worker process takes to start, where no sample has shown it."""
CLUSTER_SECONDS: Final[Mapping[str, float]] = {"dask": 3.0, "ray": 5.0}
"""What a cluster of this machine alone takes to start, beside its workers."""
SENT_SECONDS: Final = 8e-6
"""What the driver spends on a record that it reads and sends to a worker process, and on what comes back."""
SPLIT_SECONDS: Final = 1e-6
"""What the driver spends on a record that a worker process reads by itself."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a run before it begins. None stands for unknown.

    Attributes:
        cores: Cores that this process may use.
        records: About how many records there are.
        at_least: Whether there may be many more.
        size: Bytes of input.
        live: Whether the input arrives as the run goes on, perhaps for ever.
        splittable: Whether workers can read pieces of the source by themselves.
        sampled: Records that were tried.
        failed: How many of them failed.
        cpu: Seconds of computing for one record.
        waiting: Seconds of waiting for one record.
        asynchronous: Whether a hook is async.
        overlap: How many calls of hooks were in flight at once in the sample.
        concurrency: How many calls of async hooks may be in flight.
        start: Seconds that a process took to start.
        stuck: Why the run cannot be on worker processes: what cannot travel.
        dies: How the sample ended its process, if it did.
        unsampled: Why there is no sample.
        few: Whether there is so little that its size alone decides.
        cluster: The executor for which an address is configured, ``"dask"`` or ``"ray"``.
        address: The address, where it was given to ``auto`` itself.
    """

    cores: int
    records: int | None = None
    at_least: bool = False
    size: int | None = None
    live: bool = False
    splittable: bool = False
    sampled: int = 0
    failed: int = 0
    cpu: float | None = None
    waiting: float | None = None
    asynchronous: bool = False
    overlap: int = 1
    concurrency: int = 10
    start: float | None = None
    stuck: str | None = None
    dies: str | None = None
    unsampled: str | None = None
    few: bool = False
    cluster: str | None = None
    address: str | None = None

    @property
    def each(self) -> float | None:
        """Seconds for one record on ``sync``."""
        return None if self.cpu is None or self.waiting is None else self.cpu + self.waiting

    @property
    def seconds(self) -> float | None:
        """Seconds for the run on ``sync``."""
        return None if self.each is None or self.records is None else self.each * self.records

    @property
    def share(self) -> float:
        """The share of waiting in the time of a record."""
        return self.waiting / self.each if self.each and self.waiting is not None else 0.0


@dataclass(frozen=True, slots=True)
class Advice:
    """Where to run.

    Attributes:
        executor: The name of an installed executor.
        options: Its options.
        reason: Why, in one or two sentences.
        facts: What it was decided by.
        rule: The name of the rule that held.
        best: The executor that would be best, installed or not.
        install: The command that installs it, None where it is here.
        estimates: Seconds for the run on each installed executor that can be told, the chosen one among them or not.
    """

    executor: str
    reason: str
    facts: Facts
    rule: str
    best: str
    options: Mapping[str, Any] = field(default_factory=dict)
    install: str | None = None
    estimates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table.

    Attributes:
        name: What tests and reports call it.
        when: When it holds, in words, for the manual.
        holds: The same in code.
        executors: What it names, the best first.
        why: The reason, for `str.format` with what `_words` gives.
    """

    name: str
    when: str
    holds: Callable[[Facts], bool]
    executors: tuple[str, ...]
    why: str


CLUSTER: Final = "the cluster"
"""Stands in a rule for the executor whose address is configured."""

RULES: Final = (
    Rule(
        "live, async hooks",
        "the input is live, and a hook is async",
        lambda facts: facts.live and facts.asynchronous,
        ("asyncio", SYNC),
        "the input is live, so nothing was sampled, and a hook is async",
    ),
    Rule(
        "live",
        "the input is live or can be read only once",
        lambda facts: facts.live,
        (SYNC,),
        "the input is live or can be read only once, so nothing was sampled; here a record goes on without delay",
    ),
    Rule(
        "deadly",
        "a record of the sample ended its process",
        lambda facts: facts.dies is not None and facts.stuck is None,
        ("loky", "dask", "ray"),
        "the sample ended its process ({dies}), and worker processes are replaced when that happens",
    ),
    Rule(
        "small",
        "there are few records, or all of them take less than a second",
        lambda facts: facts.few or (facts.seconds is not None and facts.seconds < SMALL_SECONDS and not facts.at_least),
        (SYNC,),
        "{amount}, done before workers would have started",
    ),
    Rule(
        "unknown, async hooks",
        "no sample could be taken, and a hook is async",
        lambda facts: facts.seconds is None and facts.asynchronous,
        ("asyncio", SYNC),
        "{unknown}, and a hook is async",
    ),
    Rule(
        "unknown",
        "no sample could be taken",
        lambda facts: facts.seconds is None,
        (SYNC,),
        "{unknown}; name an executor where you know better",
    ),
    Rule(
        "waiting, async hooks",
        "half of the time or more is waiting, and a hook is async",
        lambda facts: facts.share >= MOSTLY and facts.asynchronous,
        ("asyncio", "threads"),
        "{amount}, {share} of it waiting in async hooks",
    ),
    Rule(
        "waiting",
        "half of the time or more is waiting",
        lambda facts: facts.share >= MOSTLY,
        ("threads", "asyncio"),
        "{amount}, {share} of it waiting",
    ),
    Rule(
        "stuck",
        "it computes, and the hooks or the schema cannot travel to another process",
        lambda facts: facts.stuck is not None,
        (SYNC,),
        "{amount}, mostly computing, but worker processes cannot have it: {stuck}",
    ),
    Rule(
        "cluster",
        "it computes for more than a minute on all cores, and a cluster is configured",
        lambda facts: facts.cluster is not None and (facts.seconds or 0.0) / facts.cores >= LONG_SECONDS,
        (CLUSTER, "loky"),
        "{amount}, mostly computing, too much for the {cores} of this machine, and a cluster is configured",
    ),
    Rule(
        "computing",
        "it computes",
        lambda facts: True,
        ("loky", "dask", "ray"),
        "{amount}, mostly computing",
    ),
)
"""The first that holds decides."""


def advise(facts: Facts, installed: Collection[str]) -> Advice:
    """The executor for a run of which *facts* are known.

    Args:
        facts: What is known.
        installed: The names of the executors that can be used.
    """
    rule = next(rule for rule in RULES if rule.holds(facts))
    named = [facts.cluster if name == CLUSTER else name for name in rule.executors]
    useful = [name for name in named if name is not None and _is_worthwhile(name, facts)]
    best = next(iter(useful), SYNC)
    chosen = next((name for name in useful if name in installed), SYNC)
    package = FAMILIES["executors"].published.get(best)
    install = f"pip install {package}" if best != chosen and best not in installed and package else None
    return Advice(
        executor=chosen,
        reason=_reason(rule, facts, chosen, best, install, named[0]),
        facts=facts,
        rule=rule.name,
        best=best,
        options={"address": facts.address} if facts.address is not None and chosen == facts.cluster else {},
        install=install,
        estimates={name: seconds for name in sorted(installed) if (seconds := estimate(name, facts)) is not None},
    )


def estimate(executor: str, facts: Facts) -> float | None:
    """About how many seconds the run takes on *executor*; None where nobody can tell.

    Threads wait at the same time but compute one after the other. Processes do both at the same time, and cost their
    start and the driver's part of every record.
    """
    if facts.seconds is None or facts.each is None or facts.records is None or facts.cpu is None:
        return None
    computing = facts.cpu * facts.records
    if executor == SYNC:
        return facts.seconds
    if executor in ("threads", "asyncio"):
        calls = facts.cores * THREADS_PER_CORE if executor == "threads" else facts.concurrency
        return max(computing, facts.seconds / max(1, calls // facts.overlap))
    if executor == facts.cluster or executor not in ("loky", *CLUSTER_SECONDS) or facts.stuck is not None:
        return None  # how many machines there are is not known, or what a stranger does
    start = (START_SECONDS if facts.start is None else facts.start) + CLUSTER_SECONDS.get(executor, 0.0)
    driver = facts.records * (SPLIT_SECONDS if facts.splittable else SENT_SECONDS)
    return start + max(driver, facts.seconds / facts.cores)


def _is_worthwhile(executor: str, facts: Facts) -> bool:
    """Whether it gains enough over ``sync``. What starts no workers needs to gain nothing."""
    seconds = estimate(executor, facts)
    if seconds is None or facts.seconds is None or executor in (SYNC, "asyncio") or facts.dies is not None:
        return True
    return facts.seconds - seconds >= GAIN * facts.seconds


# --- words ---


def _reason(rule: Rule, facts: Facts, chosen: str, best: str, install: str | None, wished: str | None) -> str:
    text = rule.why.format(**_words(facts))
    if best == SYNC != wished and wished is not None:
        seconds = estimate(wished, facts)
        text += f"; '{wished}' would take about {duration(seconds or 0.0)} on {_cores(facts)}, which is no gain"
    elif (seconds := estimate(chosen, facts)) is not None and chosen != SYNC:
        text += f"; on '{chosen}' about {duration(seconds)}"
    if install is not None:
        text += f". Better: '{best}', which is not installed: {install}"
    return text


def _words(facts: Facts) -> dict[str, str]:
    return {
        "amount": _amount(facts),
        "share": f"{facts.share:.0%}",
        "cores": _cores(facts),
        "stuck": facts.stuck or "",
        "dies": facts.dies or "",
        "unknown": _unknown(facts),
    }


def _amount(facts: Facts) -> str:
    text = f"{count(facts)} records"
    if facts.records is None and facts.size is not None:
        text = f"{facts.size:,} bytes"
    if facts.seconds is None or facts.each is None:
        return text
    return f"{text} of {duration(facts.each)} each take {duration(facts.seconds)} on 'sync'"


def _unknown(facts: Facts) -> str:
    if facts.each is None:
        return f"no sample was taken: {(facts.unsampled or 'nobody looked').rstrip('.')}"
    return "nobody can tell how many records there are"


def _cores(facts: Facts) -> str:
    return "one core" if facts.cores == 1 else f"{facts.cores} cores"


def count(facts: Facts) -> str:
    """How many records there are, in words."""
    if facts.records is None:
        return "an unknown number of"
    return f"at least {facts.records:,}" if facts.at_least else f"about {facts.records:,}"


def duration(seconds: float) -> str:
    """A time for people: 12 µs, 1.5 ms, 3.2 s, 5 min, 2.5 h."""
    for most, unit, word in ((1e-3, 1e-6, "µs"), (1.0, 1e-3, "ms"), (120.0, 1.0, "s"), (7200.0, 60.0, "min")):
        if seconds < most:
            return f"{seconds / unit:.2g} {word}" if seconds / unit < 10 else f"{seconds / unit:.0f} {word}"
    return f"{seconds / 3600:,.1f} h"
