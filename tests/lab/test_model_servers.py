"""The overlay that scrapes model servers, with the example whose services ask two of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tradespan import lab
from tradespan.settings import ReadSettings

from ..support.launched import Example
from .readings import fetch
from .test_collector_config import get, until

JOBS = {"llama-cpp": "llama_cpp", "vllm": "vllm"}
"""Program of the example by job of the overlay."""


@dataclass
class Scraped:
    """The example, and the Collector that scrapes its model servers."""

    example: Example
    stack: lab.Stack

    def page(self, job: str) -> dict[str, float]:
        """What stands on the server's own page: the sum of each name's samples."""
        found: dict[str, float] = defaultdict(float)
        for line in fetch(f"{self.example.url(JOBS[job])}/metrics").splitlines():
            if not line.startswith("#"):  # no parser: that of prometheus_client adds _total itself
                found[line.split("{")[0].split()[0]] += float(line.split()[-1])
        return found

    def series(self, job: str) -> dict[str, float]:
        """The same of Prometheus."""
        query = f'sum by (__name__) ({{job="{job}",__name__=~".*:.*"}})'
        answer = get(f"{self.stack.addresses.prometheus}/api/v1/query", query=query)
        rows = answer["data"]["result"]
        return {row["metric"]["__name__"]: float(row["value"][1]) for row in rows}


@pytest.fixture(scope="module")
def scraped(read_side: ReadSettings, programs: dict[str, Path]) -> Iterator[Scraped]:
    """Both run; the example's own telemetry is off, it is not what is looked at."""
    with Example("streams", OTEL_SDK_DISABLED="true") as example:
        hosts = {job: example.url(name).removeprefix("http://") for job, name in JOBS.items()}
        environ = {
            **lab.FAST,
            "TRADESPAN_LLAMA_CPP_TARGET": hosts["llama-cpp"],
            "TRADESPAN_VLLM_TARGET": hosts["vllm"],
            "TRADESPAN_MODEL_SERVERS_INTERVAL": "500ms",
        }
        wanted = ["otelcol", "prometheus"]
        with lab.Stack(
            read_side, programs=wanted, overlays=["model-servers"], environment=environ
        ) as stack:
            yield Scraped(example, stack)


@pytest.mark.parametrize("job", JOBS)
def test_every_metric_has_its_own_name(scraped: Scraped, job: str) -> None:
    """What stands on the page of a server is in Prometheus as it is called there, nothing else."""
    names = set(scraped.page(job))
    assert names
    until(lambda: set(scraped.series(job)) == names)
    assert set(scraped.series(job)) == names


def test_values_are_what_was_served(scraped: Scraped) -> None:
    """What Prometheus has lies between what the servers said before and after."""
    counters = {
        "vllm": "vllm:request_success_total",
        "llama-cpp": "llamacpp:tokens_predicted_total",
    }
    for job, name in counters.items():
        until(lambda job=job, name=name: scraped.page(job)[name] > 0)
        before = scraped.page(job)[name]
        until(lambda job=job, name=name, least=before: scraped.series(job).get(name, 0) >= least)
        assert before <= scraped.series(job)[name] <= scraped.page(job)[name]


def test_job_instance_and_model_are_labels(scraped: Scraped) -> None:
    """A series says which server, which instance of it, and what the server says of the model."""
    query = 'vllm:num_requests_running{job="vllm"}'
    at = f"{scraped.stack.addresses.prometheus}/api/v1/query"
    (row,) = until(lambda: get(at, query=query)["data"]["result"])
    assert row["metric"]["instance"] == scraped.example.url("vllm").removeprefix("http://")
    assert row["metric"]["model_name"] == "meta-llama/Llama-3.1-8B-Instruct"
    assert row["metric"]["engine"] == "0"


def test_a_server_that_is_not_there_is_not_asked(
    read_side: ReadSettings, programs: dict[str, Path]
) -> None:
    """With the target `none` a job has no series at all; with one that is down, `up` is 0."""
    environ = {
        **lab.FAST,
        "TRADESPAN_LLAMA_CPP_TARGET": "127.0.0.1:9",  # nobody listens at the discard port
        "TRADESPAN_VLLM_TARGET": "none",
        "TRADESPAN_MODEL_SERVERS_INTERVAL": "500ms",
    }
    wanted = ["otelcol", "prometheus"]
    with lab.Stack(
        read_side, programs=wanted, overlays=["model-servers"], environment=environ
    ) as stack:
        at = f"{stack.addresses.prometheus}/api/v1/query"
        often = 'count_over_time(up{job="llama-cpp"}[5m]) > 3'  # the other had its time too
        until(lambda: get(at, query=often)["data"]["result"])
        up = get(at, query='up{job=~"llama-cpp|vllm"}')["data"]["result"]
        assert [(row["metric"]["job"], row["value"][1]) for row in up] == [("llama-cpp", "0")]
