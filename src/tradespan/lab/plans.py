"""How each program of the lab is started: the shipped configuration, on the lab's own ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tradespan import bundle
from tradespan.lab.errors import LabError
from tradespan.lab.ports import HOST

FAST: Mapping[str, str] = {
    "TRADESPAN_BATCH_TIMEOUT": "100ms",
    "TRADESPAN_SPAN_METRICS_INTERVAL": "500ms",
}
"""Settings of the Collector with which tests and demos see their data within a second."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One program to start.

    Attributes:
        name: of the program.
        command: arguments after the binary.
        environ: variables on top of the inherited ones.
        ready: addresses that answer 200 once it is ready.
    """

    name: str
    command: Sequence[str]
    ready: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the lab listens; base addresses without a slash at the end.

    Attributes:
        otlp_http: OTLP over HTTP into the Collector.
        otlp_grpc: OTLP over gRPC into the Collector.
        health: the Collector's health.
        collector_metrics: the Collector's own metrics, to be scraped.
        scrape: the services' metrics, to be scraped (overlay `scrape` only).
        prometheus: page and query API.
        jaeger: page and query API.
        loki: query API.
        alertmanager: page and API.
    """

    otlp_http: str
    otlp_grpc: str
    health: str
    collector_metrics: str
    scrape: str
    prometheus: str
    jaeger: str
    loki: str
    alertmanager: str


def addresses(ports: Mapping[str, int]) -> Addresses:
    """The addresses of these ports."""
    base = {name: f"http://{HOST}:{port}" for name, port in ports.items()}
    return Addresses(
        otlp_http=base["otlp_http"],
        otlp_grpc=base["otlp_grpc"],
        health=base["health"],
        collector_metrics=base["collector_metrics"] + "/metrics",
        scrape=base["scrape"] + "/metrics",
        prometheus=base["prometheus"],
        jaeger=base["jaeger"],
        loki=base["loki"],
        alertmanager=base["alertmanager"],
    )


def overlay_path(name: str | Path) -> Path:
    """The file of an overlay: a path, or a name in `collector/overlays`.

    Raises:
        LabError: there is no such overlay.
    """
    folder = bundle.path("collector") / "overlays"
    for candidate in (Path(name), folder / f"{name}.yaml"):
        if candidate.is_file():
            return candidate.resolve()
    known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
    raise LabError(f"there is no overlay {name}", f"name a file, or one of: {known}")


def collector_variables(ports: Mapping[str, int], queue: Path) -> dict[str, str]:
    """The environment of `otel-collector.yaml` that puts a Collector on these ports."""
    at = addresses(ports)
    return {
        "TRADESPAN_LISTEN_HOST": HOST,
        "TRADESPAN_OTLP_GRPC_PORT": str(ports["otlp_grpc"]),
        "TRADESPAN_OTLP_HTTP_PORT": str(ports["otlp_http"]),
        "TRADESPAN_HEALTH_PORT": str(ports["health"]),
        "TRADESPAN_COLLECTOR_METRICS_PORT": str(ports["collector_metrics"]),
        "TRADESPAN_SCRAPE_PORT": str(ports["scrape"]),
        "TRADESPAN_PROMETHEUS_ENDPOINT": f"{at.prometheus}/api/v1/otlp",
        "TRADESPAN_JAEGER_ENDPOINT": f"http://{HOST}:{ports['jaeger_otlp']}",
        "TRADESPAN_LOKI_ENDPOINT": f"{at.loki}/otlp",
        "TRADESPAN_QUEUE_DIR": str(queue),
    }


def prometheus_config(shipped: Path, ports: Mapping[str, int]) -> str:
    """The shipped Prometheus configuration with loopback addresses for compose's host names.

    Raises:
        ValueError: a name that should be replaced is not there.
    """
    text = shipped.read_text()
    for name, ours in {
        '"otelcol:8888"': f'"{HOST}:{ports["collector_metrics"]}"',
        '"alertmanager:9093"': f'"{HOST}:{ports["alertmanager"]}"',
        "- rules/*.yaml": f"- {shipped.parent}/rules/*.yaml",
    }.items():
        if name not in text:
            raise ValueError(f"{shipped}: {name} is not there to be replaced")
        text = text.replace(name, ours)
    return text


def plans(folder: Path, ports: Mapping[str, int], overlays: Sequence[str | Path]) -> list[Plan]:
    """How to start each program.

    Arguments:
        folder: of the lab; data and rendered files go there.
        ports: numbers by name.
        overlays: of the Collector, by name or path.

    Raises:
        LabError: an overlay does not exist.
    """
    shipped = bundle.path("collector")
    at = addresses(ports)
    return [
        Plan(
            "otelcol",
            [
                f"--config={bundle.path('otel-collector.yaml')}",
                *(f"--config={overlay_path(o)}" for o in overlays),
            ],
            [at.health],
            collector_variables(ports, folder / "queue"),
        ),
        _prometheus(shipped / "prometheus" / "prometheus.yaml", folder, ports),
        _jaeger(shipped / "jaeger" / "jaeger.yaml", ports),
        _loki(shipped / "loki" / "loki.yaml", folder, ports),
        Plan(
            "alertmanager",
            [
                f"--config.file={shipped / 'alertmanager' / 'alertmanager.yaml'}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address={HOST}:{ports['alertmanager']}",
                "--cluster.listen-address=",
            ],
            [f"{at.alertmanager}/-/ready"],
        ),
    ]


def _prometheus(shipped: Path, folder: Path, ports: Mapping[str, int]) -> Plan:
    config = folder / "prometheus.yaml"
    config.write_text(prometheus_config(shipped, ports))
    command = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={HOST}:{ports['prometheus']}",
        "--web.enable-otlp-receiver",
        "--enable-feature=exemplar-storage,created-timestamp-zero-ingestion",
    ]
    return Plan("prometheus", command, [f"{addresses(ports).prometheus}/-/ready"])


def _jaeger(shipped: Path, ports: Mapping[str, int]) -> Plan:
    at = addresses(ports)
    environ = {
        "TRADESPAN_LISTEN_HOST": HOST,
        "TRADESPAN_JAEGER_OTLP_PORT": str(ports["jaeger_otlp"]),
        "TRADESPAN_JAEGER_PORT": str(ports["jaeger"]),
        "TRADESPAN_JAEGER_GRPC_PORT": str(ports["jaeger_grpc"]),
        "TRADESPAN_PROMETHEUS_URL": at.prometheus,
    }
    return Plan("jaeger", [f"--config={shipped}"], [f"{at.jaeger}/api/services"], environ)


def _loki(shipped: Path, folder: Path, ports: Mapping[str, int]) -> Plan:
    environ = {
        "TRADESPAN_LISTEN_HOST": HOST,
        "TRADESPAN_LOKI_PORT": str(ports["loki"]),
        "TRADESPAN_LOKI_GRPC_PORT": str(ports["loki_grpc"]),
        "TRADESPAN_LOKI_DIR": str(folder / "loki"),
    }
    command = [f"-config.file={shipped}", "-config.expand-env=true"]
    return Plan("loki", command, [f"{addresses(ports).loki}/ready"], environ)
