"""Our metrics for a scrape: upstream's Prometheus exporter, one metric at a time.

Translated one by one, a metric that cannot be translated costs itself alone, and two libraries that
use one name with different labels keep each its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
from opentelemetry.semconv.attributes.service_attributes import SERVICE_INSTANCE_ID, SERVICE_NAME
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from tradespan.guard import guard
from tradespan.semconv.attributes import TRADING_MODE

LABELS = frozenset({SERVICE_NAME, SERVICE_INSTANCE_ID, TRADING_MODE})
"""Resource attributes that every series carries."""

_TRANSLATE = guard("metrics.translate")


class Reader(PrometheusMetricReader):
    """Collects when it is asked, and only then.

    It is added by `MeterProvider.add_metric_reader`, so that the provider's `force_flush` passes it
    by: data that no scrape has asked for would stand in the next one a second time.
    """

    def __init__(self) -> None:
        super().__init__(
            disable_target_info=True,
            scope_info_enabled=False,
            resource_attribute_filter=LABELS.__contains__,
            registry=CollectorRegistry(),
        )
        self._collector._callback = None  # upstream's would collect anew for each part
        self._data: MetricsData | None = None

    def families(self) -> list[Metric]:
        """What stands at this moment; not to be called by two threads at once.

        Raises:
            Exception: a callback of an observable instrument took longer than the SDK allows.
        """
        self._data = None
        self.collect()
        found: list[Metric] = []
        for part in _parts(self._data):
            with _TRANSLATE:
                self._collector.add_metrics_data(part)
                found.extend(self._collector.collect())
        return found

    def _receive_metrics(
        self,
        metrics_data: MetricsData,
        timeout_millis: float = 10_000,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        self._data = metrics_data


def _parts(data: MetricsData | None) -> Iterator[MetricsData]:
    """Each metric as if it were the only one."""
    for resource in data.resource_metrics if data is not None else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                one = ScopeMetrics(scope.scope, [metric], scope.schema_url)
                yield MetricsData([ResourceMetrics(resource.resource, [one], resource.schema_url)])
