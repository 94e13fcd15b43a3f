"""The set-up's small steps; what it does to a real service is tested in tests/integration."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import entry_points
from typing import Any

import pytest

import tradespan
from tradespan import distro
from tradespan import settings as setting
from tradespan.distro import steps
from tradespan.settings import ConfigError, Settings


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing said."""
    import os

    for key in list(os.environ):
        if key.startswith(("OTEL_", "TRADESPAN")):
            monkeypatch.delenv(key)
    for key in [*distro.DEFAULTS, distro.ENDPOINT]:  # so that what is set here is taken back
        monkeypatch.setenv(key, "")
    monkeypatch.setattr(setting, "current", Settings())


@pytest.mark.parametrize(
    ("group", "target"),
    [
        ("opentelemetry_distro", distro.Distro),
        ("opentelemetry_configurator", distro.Configurator),
    ],
)
def test_entry_points(group: str, target: type) -> None:
    """`opentelemetry-instrument` finds distro, configurator and id generator by our name."""
    (found,) = entry_points(group=group, name="tradespan")
    assert found.load() is target
    (ids,) = entry_points(group="opentelemetry_id_generator", name="tradespan")
    assert ids.load().__name__ == "SystemIdGenerator"


@pytest.mark.parametrize(
    ("protocol", "endpoint"),
    [
        ("", "http://127.0.0.1:4318"),
        ("http/protobuf", "http://127.0.0.1:4318"),
        ("grpc", "http://127.0.0.1:4317"),
    ],
)
def test_defaults(monkeypatch: pytest.MonkeyPatch, protocol: str, endpoint: str) -> None:
    """Loopback on the protocol's own port; distro and configurator are bound to each other."""
    import os

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    distro.say_defaults()
    assert os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] == endpoint
    assert os.environ["OTEL_PYTHON_CONFIGURATOR"] == "tradespan"
    assert os.environ["OTEL_PYTHON_ID_GENERATOR"] == "tradespan"
    assert os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] == "http"


def test_the_users_word_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user said of OpenTelemetry's own variables stays."""
    import os

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    distro.say_defaults()
    assert os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
    assert os.environ["OTEL_TRACES_EXPORTER"] == "none"


def test_resource_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run mode is ours, everything else the user's; said by the user, so is the mode."""
    monkeypatch.setattr(setting, "current", Settings(mode="paper"))
    assert distro.resource_attributes()["trading.mode"] == "paper"
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "trading.mode=x,team=desk")
    found = distro.resource_attributes()
    assert (found["trading.mode"], found["team"]) == ("x", "desk")


@pytest.mark.parametrize(
    ("settings", "variables", "said"),
    [
        (Settings(), {}, ["TRADESPAN_MODE"]),
        (Settings(mode_given=True), {}, []),
        (Settings(mode_given=True), {"OTEL_CONFIG_FILE": "x.yaml"}, ["OTEL_CONFIG_FILE"]),
    ],
)
def test_warnings(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    settings: Settings,
    variables: dict[str, str],
    said: list[str],
) -> None:
    """One line for each thing that everybody should say, none where it is said."""
    monkeypatch.setattr(setting, "current", settings)
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    distro.warn_of_what_is_unset()
    assert [m.split()[0] for m in caplog.messages] == said


def test_a_wrong_setting_is_said_and_switches_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The service starts all the same; one loud line names key, value and hint."""
    monkeypatch.setenv("TRADESPAN_MODE", "production")
    distro.Distro()._configure()
    assert setting.current.enabled is False
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    for part in ("TRADESPAN_MODE", "production", "hint:", "live, paper"):
        assert part in record.getMessage()


@pytest.mark.parametrize("raised", [ConfigError("store", "ftp://x", "redis://"), KeyError("x")])
def test_a_mapping_that_fails_leaves_the_rest_of_the_telemetry(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, raised: Exception
) -> None:
    """Whatever it fails by: it is said once, and libraries are instrumented all the same."""

    def fail(*_: Any) -> None:
        raise raised

    monkeypatch.setattr("tradespan.mapping.start.start", fail)
    steps.map_the_service()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "tradespan.yaml is not applied" in record.getMessage()


def test_pythons_own_resource_tracker_is_no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """It inherits the environment of the service that starts it, and gets no SDK."""
    code = "from multiprocessing.resource_tracker import main;main(5)"
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", code])
    distro.Distro()._configure()
    assert setting.current.enabled is False


def test_switched_off_loads_no_instrumentor(monkeypatch: pytest.MonkeyPatch) -> None:
    """With TRADESPAN=off nothing is wrapped, and nothing of OTEL_* is touched."""
    import os

    monkeypatch.setenv("TRADESPAN", "off")
    one = distro.Distro()
    one._configure()

    class Unloadable:
        name = "redis"

        def load(self) -> Any:
            raise AssertionError("loaded")

    one.load_instrumentor(Unloadable())
    assert os.environ["OTEL_TRACES_EXPORTER"] == ""


def test_an_unknown_setting_from_code() -> None:
    """`configure` names what it does not know, and what there is."""
    with pytest.raises(ConfigError) as caught:
        tradespan.configure(mood="replay")
    assert (caught.value.key, caught.value.value) == ("mood", "replay")
    assert "mode" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "given"), [("fastapi", "exclude_spans"), ("redis", "tracer_provider"), ("httpx", "")]
)
def test_how_libraries_are_instrumented(name: str, given: str) -> None:
    """FastAPI without its send and receive spans, pollers inside spans only, others as ever."""
    seen: dict[str, Any] = {}

    class Instrumentor:
        def instrument(self, **kwargs: Any) -> None:
            seen.update(kwargs)

    class EntryPoint:
        def load(self) -> Any:
            return Instrumentor

    point = EntryPoint()
    point.name = name  # type: ignore[attr-defined]
    distro.Distro().load_instrumentor(point)
    assert {k for k in seen if k in ("exclude_spans", "tracer_provider")} == {given} - {""}
