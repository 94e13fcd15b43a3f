"""One line for an outage of the Collector, and one when it is over; not thousands."""

from __future__ import annotations

import logging
import threading

import pytest

from tradespan.export.outage import Outage

ENDPOINT = "http://127.0.0.1:4318"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Log lines, of all levels."""
    caplog.set_level(logging.DEBUG)
    return caplog


def test_all_is_well(lines: pytest.LogCaptureFixture) -> None:
    """As long as exports succeed nothing is said."""
    outage = Outage(ENDPOINT)
    for _ in range(10):
        outage.told(True)
    assert lines.messages == []


def test_one_line_an_outage(lines: pytest.LogCaptureFixture) -> None:
    """However often exports fail, by whichever way it is heard, it is said once."""
    outage = Outage(ENDPOINT)
    for _ in range(1000):
        outage.told(False)
        outage.failed()
    assert len(lines.messages) == 1
    assert ENDPOINT in lines.messages[0]
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in lines.messages[0]
    assert lines.records[0].levelno == logging.WARNING


def test_one_line_when_it_is_over(lines: pytest.LogCaptureFixture) -> None:
    """The end is said once, too."""
    outage = Outage(ENDPOINT)
    outage.told(False)
    for _ in range(10):
        outage.told(True)
    assert len(lines.messages) == 2
    assert "answers again" in lines.messages[1]


def test_threads_say_it_once(lines: pytest.LogCaptureFixture) -> None:
    """Three exporters that fail at once are one outage."""
    outage = Outage(ENDPOINT)
    threads = [threading.Thread(target=outage.failed) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines.messages) == 1


def test_one_signal_refused_is_not_an_outage_every_second(lines: pytest.LogCaptureFixture) -> None:
    """A Collector that takes spans and refuses logs does not make lines without end."""
    outage = Outage(ENDPOINT)
    for _ in range(100):
        outage.told(False)
        outage.told(True)
    assert 1 <= len(lines.messages) <= 6
