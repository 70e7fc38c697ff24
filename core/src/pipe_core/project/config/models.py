"""What a project's file may say: one frozen model for each kind of thing in it.

Fields are the keys of the file. Unknown keys are errors. What a key means, and what holds where it is left out, is told
in the manual's page of the project file, which a test compares with these models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.config.fields import (
    AS_FIELDS,
    AS_PLAIN,
    BY_SHAPE,
    Amount,
    Count,
    Delay,
    Factor,
    Flag,
    Function,
    Iso,
    Metrics,
    Names,
    Options,
    Parameters,
    Plain,
    Positive,
    Seconds,
    Selection,
    Share,
    Text,
    Trigger,
)
from pipe_core.project.dates import DateWindow

OnFailure = Literal["fail_fast", "continue_independent", "drain"]
Policy = Literal["evolve", "freeze", "discard_row", "discard_value"]
Mode = Literal["error", "overwrite", "append", "ignore"]
LoadedAs = Literal["records", "arrow", "pandas", "value", "bytes", "text"]


class Config(BaseModel):
    """What all of them share: they do not change, and they refuse keys that they do not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True)


class _Dated(Config):
    start_date: Iso | None = None
    end_date: Iso | None = None

    @model_validator(mode="after")
    def _in_order(self) -> _Dated:
        if self.start_date and self.end_date:
            try:
                DateWindow(self.start_date, self.end_date)
            except OptionsError as error:
                raise ValueError(str(error).removesuffix(".")) from None
        return self


class ProjectSettings(_Dated):
    """The key ``project:``, which holds for all of it.

    Attributes:
        name: What the project is called; default the name of its folder.
        description: For people.
        code: Packages and modules that may be named, beside those in the project's folder.
        executor: Where nodes run.
        max_workers: How many nodes run at once.
        start_date: The first day of the window of runs that do not say one.
        end_date: The last day of it.
        model_version: The version of models where a pipeline says none.
        hyperparams: Parameters of every node of machine learning.
        allow_pickle: Whether data sets may be of the format pickle, whose files can run code.
        runs: The folder of what is kept of runs.
    """

    name: Text = "project"
    description: str | None = None
    code: Names = ()
    executor: Selection | None = None
    max_workers: Positive | None = None
    model_version: Text | None = None
    hyperparams: Parameters = Field(default_factory=dict)
    allow_pickle: Flag = False
    runs: Text = "runs"


class DatasetConfig(Config):
    """One data set of ``catalog:``, or one that stands in place of its name at a node.

    Attributes:
        format: The format's name; None: what the path says.
        path: A path relative to the project's folder, or a URL. It may hold ``${secret:NAME}``.
        options: Options of the format. Texts may hold ``${secret:NAME}``.
        mode: What becomes of data that is there already.
        record_schema: The key ``schema:``: the class that records are read into.
        load_as: The key ``as:``: what loading gives; None: records where there is a schema, else what suits the format.
        partition_by: Fields whose values make folders.
        date_column: The field that says which window a record belongs to.
        contract: What happens to records that are not as the schema says.
        description: For people.
    """

    format: Text | None = None
    path: Text
    options: Options = Field(default_factory=dict)
    mode: Mode = "overwrite"
    record_schema: Any = Field(default=None, alias="schema")
    load_as: LoadedAs | None = Field(default=None, alias="as")
    partition_by: Names = ()
    date_column: Text | None = None
    contract: Policy | None = None
    description: str | None = None


class RetryConfig(Config):
    """How often and when a failed node is tried again.

    Attributes:
        attempts: How often it is tried, the first time included.
        delay: Seconds behind the first attempt.
        backoff: By how much the delay grows with each attempt.
        max_delay: The longest delay, in seconds.
        jitter: How much of a delay is left to chance, 0 to 1.
        on: Classes of errors that are tried again; none: all that do not say otherwise.
    """

    attempts: Positive = 4
    delay: Delay = 0.1
    backoff: Factor = 2.0
    max_delay: Delay = 30.0
    jitter: Share = 0.5
    on: Names = ()


class BreakerConfig(Config):
    """What keeps a node from starting while what it needs is broken.

    Attributes:
        resource: What the nodes that share the breaker use; None: the node has its own.
        failures: How many failures in a row open it.
        reset_after: Seconds until one attempt may try.
    """

    resource: Text | None = None
    failures: Positive = 3
    reset_after: Seconds = 30.0


class StreamingConfig(Config):
    """How a node goes through a source that does not end.

    Attributes:
        trigger: Seconds between micro-batches; ``available_now`` stops when nothing is left.
        batch_size: How many records are in one at most.
    """

    trigger: Trigger = 1.0
    batch_size: Positive = 1000


def _contract(value: Any) -> Any:
    return value if isinstance(value, Mapping | ContractConfig) else {"schema": value}


class ContractConfig(Config):
    """What records must be like.

    Attributes:
        record_schema: The key ``schema:``: a model or an Arrow schema.
        policy: What happens to those that are not.
    """

    record_schema: Any = Field(alias="schema")
    policy: Policy = "freeze"


Contract = Annotated[ContractConfig, BeforeValidator(_contract)]
"""A `ContractConfig`, or its schema alone."""


class ContractsConfig(Config):
    """Contracts of a node, by the names of its inputs and outputs."""

    inputs: dict[str, Contract] = Field(default_factory=dict)
    outputs: dict[str, Contract] = Field(default_factory=dict)


def _flow(value: Any) -> Any:
    return () if value is None else (value,) if isinstance(value, str | dict | DatasetConfig) else value


_NamedOrNot = Annotated[Annotated[Text, AS_PLAIN] | Annotated[DatasetConfig, AS_FIELDS], BY_SHAPE]
Flow = Annotated[tuple[_NamedOrNot, ...], BeforeValidator(_flow)]
"""Data sets: one or several, each by its name or described in its place."""
Retries = Annotated[Annotated[Count, AS_PLAIN] | Annotated[RetryConfig, AS_FIELDS], BY_SHAPE]
Breaker = Annotated[Annotated[Flag, AS_PLAIN] | Annotated[BreakerConfig, AS_FIELDS], BY_SHAPE]
Streaming = Annotated[Annotated[Flag, AS_PLAIN] | Annotated[StreamingConfig, AS_FIELDS], BY_SHAPE]


def _retries(value: Any) -> Any:
    if isinstance(value, Mapping | RetryConfig):
        return value
    return {"attempts": value + 1} if isinstance(value, int) and not isinstance(value, bool) else value


class NodeConfig(Config):
    """One node of ``nodes:``.

    Attributes:
        name: The node's key.
        function: What runs: ``pkg.mod.func``, ``pkg.mod:func``, ``file.py:func``, or a function where Python says it.
        module: The module of *function*, where that is a plain name.
        input: Data sets that become the function's arguments, in this order: names, or descriptions in their place.
        output: Data sets that the result is saved as.
        dependencies: Nodes that must be done before: a name, ``{name: {}}``, or a list of both.
        hyperparams: Parameters of this node.
        metrics: What it measures.
        description: For people.
        retries: How many attempts may follow the first one, or a `RetryConfig`; None: as its pipeline says, or none.
        timeout: Seconds that an attempt may take.
        executor: Where it runs; None: as its pipeline.
        tags: Words to choose nodes by.
        streaming: Whether it goes through a source that does not end, and how.
        type: ``ml`` where it is given the context of machine learning.
        model_version: The version of its model; None: that of its pipeline.
        model_name: The name of its model.
        contracts: What its inputs and outputs must be like.
        breaker: What keeps it from starting while what it needs is broken; true: with the usual numbers.
        resources: What it needs of its worker, by name, such as ``{GPU: 1}``, and has to itself while it runs.
    """

    name: Text
    function: Function
    module: Text | None = None
    input: Flow = ()
    output: Flow = ()
    dependencies: Plain = None
    hyperparams: Parameters = Field(default_factory=dict)
    metrics: Metrics = ()
    description: str | None = None
    retries: Retries | None = None
    timeout: Seconds | None = None
    executor: Selection | None = None
    tags: Names = ()
    streaming: Streaming = False
    type: Literal["ml"] | None = None
    model_version: Text | None = None
    model_name: Text | None = None
    contracts: ContractsConfig = Field(default_factory=ContractsConfig)
    breaker: Breaker = False
    resources: dict[Text, Amount] = Field(default_factory=dict)


class PipelineConfig(_Dated):
    """One pipeline of ``pipelines:``.

    Attributes:
        name: The pipeline's key.
        nodes: The names of its nodes.
        overrides: What it says of a node otherwise than ``nodes:`` does; written as ``{name: {...}}`` among *nodes*.
        inputs: Data sets that it reads, for people and checks.
        outputs: Data sets that it makes.
        type: What kind it is.
        description: For people.
        requires_dates: Whether it needs a window; None: whether one of its functions takes dates and has none itself.
        model_version: The version of its models; None: the project's.
        model_name: The name of its model.
        hyperparams: Parameters of all its nodes.
        metrics: What it measures.
        on_failure: What happens to other nodes when one fails.
        executor: Where its nodes run; None: the project's.
        max_workers: How many run at once; None: the project's.
        retries: As at a node, for those that say nothing.
        timeout: Seconds that an attempt of a node may take, for those that say nothing.
    """

    name: Text
    nodes: tuple[Text, ...] = Field(min_length=1)
    overrides: dict[str, dict[str, Any]] = Field(default_factory=dict)
    inputs: Names = ()
    outputs: Names = ()
    type: Literal["batch", "streaming", "hybrid", "ml"] = "batch"
    description: str | None = None
    requires_dates: Flag | None = None
    model_version: Text | None = None
    model_name: Text | None = None
    hyperparams: Parameters = Field(default_factory=dict)
    metrics: Metrics = ()
    on_failure: OnFailure = "fail_fast"
    executor: Selection | None = None
    max_workers: Positive | None = None
    retries: Retries | None = None
    timeout: Seconds | None = None
