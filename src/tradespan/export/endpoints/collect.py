"""What a scrape is given: our metrics, and those of the application's own prometheus_client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric

from tradespan.export.endpoints.merge import merge
from tradespan.export.endpoints.reader import Reader
from tradespan.guard import guard

_APPLICATION = guard("metrics.application")


def collector(provider: Any) -> Callable[[], list[Metric]]:
    """What collects the metrics of this process.

    Arguments:
        provider: the SDK's meter provider; counts from now on. None: the application's alone.
    """
    if provider is None:
        return _the_applications
    reader = Reader()
    provider.add_metric_reader(reader)
    return lambda: merge(reader.families(), _the_applications())


def _the_applications() -> list[Metric]:
    """What its default registry holds; a collector of its own that fails ends the list."""
    found: list[Metric] = []
    with _APPLICATION:
        found.extend(REGISTRY.collect())
    return found
