"""tradespan.yaml as a model: one file for the whole estate, validated as a whole.

pydantic and PyYAML are imported only where such a file is read.
"""

from collections.abc import Collection
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tradespan.mapping.fields import (
    CLIENTS,
    EMPTY,
    Client,
    Host,
    Name,
    PathText,
    Routes,
    Rules,
    Seconds,
    Targets,
    known,
)
from tradespan.semconv.metrics import CALLS, COUNTS, VALUES
from tradespan.semconv.model import Outcome
from tradespan.semconv.stages import STAGES

_NOTHING: Any = {}  # a part that the file leaves out; validated as one that is empty


class Model(BaseModel):
    """Strict: a key that is not known is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, defer_build=True, regex_engine="python-re"
    )


def _no_other(names: Collection[str], taken: set[str], of: str) -> None:
    """Refuse names under which a stage or a count takes something else."""
    for name in sorted(taken & {*names}):
        raise ValueError(f"set cannot name {name!r}, which {of} has already")


class Pipeline(Model):
    """The pipeline, its stages with their budgets, and the journey's own."""

    name: Name = Field("default", description="Name of the pipeline.")
    stages: dict[Name, Seconds] = Field({}, description="Budget of each stage, in its order.")
    budget: Seconds | None = Field(None, description="Budget of the whole journey.")
    expires: Seconds | None = Field(None, description="After this an approved trade is expired.")


class Handoff(Model):
    """A hand-off between two services: a Redis stream, a Kafka topic, a row, or a key."""

    redis_stream: str | None = Field(None, description="Name of the Redis stream.")
    group: str | None = Field(None, description="Its consumer group, for depth and oldest age.")
    inject: bool = Field(False, description="Add traceparent and baggage to each entry.")
    owner: str | None = Field(None, description="Service that measures the stream.")
    key: str | None = Field(None, description="Hand over by key: name of the key space.")
    store: str | None = Field(None, description="redis://... or sqlite:///FILE; ${NAME} reads env.")
    ttl: Seconds = Field(86_400.0, description="How long a key is kept.")
    retry: Seconds = Field(0.05, description="How long a receiver waits for a key.")
    carrier: bool = Field(False, description="The message itself carries traceparent and baggage.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [k for k in ("redis_stream", "key") if getattr(self, k)] + [
            "carrier"
        ] * self.carrier
        if len(kinds) != 1:
            raise ValueError("say exactly one of redis_stream, key, carrier")
        if (self.inject or self.owner or self.group) and not self.redis_stream:
            raise ValueError("inject, group and owner go with redis_stream")
        if self.owner and not self.group:
            raise ValueError("owner measures a consumer group: say group too")
        return self


class Begins(Model):
    """What is known of the market event when a journey begins."""

    event_time: PathText | None = Field(None, description="Path of the event's time.")
    unit: Literal["s", "ms", "us", "ns"] = Field("s", description="Its unit since the epoch.")


class Stage(Model):
    """Functions or routes that are a stage."""

    run: Targets = Field([], description="module:function, module:Class.method, Class+.method.")
    route: Routes = Field([], description="METHOD /path/template of a FastAPI route.")
    returns: Targets = Field([], description="Factories: what they give back is the stage.")
    begins: Annotated[Begins | None, EMPTY] = Field(None, description="A journey begins here.")
    ends: bool | None = Field(None, description="The journey ends here.")
    receive: dict[Name, PathText] = Field({}, description="Hand-off: path of carrier or key.")
    set: dict[Name, PathText] = Field({}, description="Value: path.")
    map: dict[Name, dict[str, str]] = Field({}, description="Value: your word: ours.")
    retry: Rules = Field([], description="The attempt failed and will be made again.")
    outcome: dict[Outcome, Rules] = Field({}, description="Outcome: rules; the first that holds.")
    budget: Seconds | None = Field(None, description="Budget, instead of the pipeline's.")
    spans: int | None = Field(None, ge=0, description="Most spans of it in one trace.")

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not (self.run or self.route or self.returns):
            raise ValueError("say where it is: run, route or returns")
        _no_other(self.set, {"self", "name", "carrier", "ends"}, "a stage")
        early = {f"receive.{name}": path for name, path in self.receive.items()}
        early["set.signal_id"] = self.set.get("signal_id")
        early["begins.event_time"] = self.begins.event_time if self.begins else None
        for place, path in early.items():
            if path is not None and not path.before:
                raise ValueError(
                    f"{place} is needed when the stage begins: args, self or env, not {path.text!r}"
                )
        return self


class Send(Model):
    """The journey is handed on after a function, under a key."""

    after: Targets = Field(description="Functions after which the key is known.")
    key: PathText = Field(description="Path of the key.")


class CallsOf(Model):
    """Calls that feed a metric of the catalogue."""

    run: Targets = Field([], description="Functions to time.")
    client: Client | None = Field(None, description=f"One of {', '.join(CLIENTS)}.")
    hosts: list[Host] = Field([], description="HOST, HOST:PORT or a URL; patterns too.")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"run": value} if isinstance(value, str | list) else value

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.run or self.client or self.hosts):
            raise ValueError("say which calls: a target, client or hosts")
        return self


class Value(Model):
    """A gauge set from a call."""

    after: Targets = Field(description="Functions after which the value is known.")
    set: PathText = Field(description="Path of the number; true is 1, false and nothing are 0.")


class Count(Model):
    """A counter fed by an exception or a rule."""

    raises: Targets = Field([], description="Exception classes that are counted when made.")
    after: Targets = Field([], description="Functions after which the rule is asked.")
    when: Rules = Field([], description="Rules; counted when one holds.")
    set: dict[Name, PathText] = Field({}, description="Label: path.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if bool(self.raises) == bool(self.after):
            raise ValueError("say raises, or after with when")
        if self.after and not self.when:
            raise ValueError("after needs when: a rule")
        _no_other(self.set, {"name", "amount"}, "a count")
        return self


class Service(Model):
    """What one service is, by its OTEL_SERVICE_NAME."""

    stages: dict[Name, Stage] = Field({}, description="Stage: where it is.")
    send: dict[Name, Send] = Field({}, description="Hand-off by key: after what.")
    calls: Annotated[dict[str, CallsOf], known(CALLS, "call")] = Field(
        {}, description=f"One of {', '.join(CALLS)}."
    )
    values: Annotated[dict[str, Value], known(VALUES, "value")] = Field(
        {}, description=f"One of {', '.join(VALUES)}."
    )
    counts: Annotated[dict[str, Count], known(COUNTS, "count")] = Field(
        {}, description=f"One of {', '.join(COUNTS)}."
    )


class Propagate(Model):
    """Who may receive our context, beside the private network."""

    to: list[str] = Field([], description="Host patterns that may.")
    never: list[str] = Field([], description="Host patterns that may not; they win.")


class Deployment(Model):
    """Where the services run, so that what cannot work there is refused."""

    where: Literal["one_host", "containers", "hosts"] = Field(
        "one_host", description="All on one host; each in a container; or on several hosts."
    )
    collector: str = Field("http://127.0.0.1:4318", description="Where services send OTLP.")
    metrics: list[Literal["otlp", "scrape"]] = Field(
        ["otlp"], description="How metrics reach Prometheus: one way only."
    )


class Estate(Model):
    """The whole file."""

    version: Literal[1] = Field(description="Of this format.")
    pipeline: Pipeline = Field(_NOTHING, validate_default=True, description="The pipeline.")
    handoffs: dict[Name, Handoff] = Field({}, description="Hand-offs between services.")
    services: dict[Name, Service] = Field({}, description="Services, by OTEL_SERVICE_NAME.")
    propagate: Propagate = Field(
        _NOTHING, validate_default=True, description="Who may receive our context."
    )
    deployment: Deployment = Field(
        _NOTHING, validate_default=True, description="Where the services run."
    )

    @model_validator(mode="after")
    def _handoffs_are_declared(self) -> Self:
        for service, mapped in self.services.items():
            used = {*mapped.send, *(n for s in mapped.stages.values() for n in s.receive)}
            for name in sorted(used - set(self.handoffs)):
                raise ValueError(
                    f"services.{service} names hand-off {name!r}, which handoffs does not declare"
                )
            for name in mapped.send:
                if not self.handoffs[name].key:
                    raise ValueError(
                        f"services.{service}.send.{name}: only a hand-off by key is sent after a "
                        "function; a Redis stream needs inject: true in handoffs"
                    )
        for name, handoff in self.handoffs.items():
            if handoff.owner and handoff.owner not in self.services:
                raise ValueError(f"handoffs.{name}.owner {handoff.owner!r} is none of the services")
        return self

    @property
    def known_stages(self) -> set[str]:
        """Names of stages that have a meaning: the registry's and the pipeline's."""
        return {*STAGES, *self.pipeline.stages}
