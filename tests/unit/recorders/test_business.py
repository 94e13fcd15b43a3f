"""Revenue, users, signals and security, as they are exported."""

from __future__ import annotations

from typing import Any

from tradespan.recorders import business


def test_revenue_payments_and_volume(telemetry: Any) -> None:
    """By source, by result and by symbol."""
    business.revenue(49.0, "subscriptions")
    business.revenue(1.5, "fees")
    business.payment(True)
    business.payment(False)
    business.volume(1000.0, "BTC-USD")
    assert telemetry.total("business.revenue", source="subscriptions") == 49
    assert telemetry.total("business.revenue") == 50.5
    assert telemetry.total("business.payments", result="success") == 1
    assert telemetry.total("business.payments", result="failure") == 1
    assert telemetry.total("business.trading.volume", symbol="BTC-USD") == 1000


def test_orders_and_profit(telemetry: Any) -> None:
    """Filled orders over all are the execution rate; both kinds of profit stand side by side."""
    business.order("filled")
    business.order("Rejected")
    business.pnl(realized=120.0, unrealized=-30.0)
    business.pnl(realized=125.0)
    assert telemetry.total("business.orders", result="filled") == 1
    assert telemetry.total("business.orders", result="rejected") == 1
    assert telemetry.last("business.pnl", pnl_type="realized") == 125
    assert telemetry.last("business.pnl", pnl_type="unrealized") == -30


def test_users(telemetry: Any) -> None:
    """Active now, registered, and how long they stay."""
    business.active_users(17)
    business.registration()
    with business.session():
        pass
    business.session_ended(600)
    assert telemetry.last("business.users.active") == 17
    assert telemetry.total("business.registrations") == 1
    (point,) = telemetry.metric("business.session.duration")
    assert (point.count, round(point.sum)) == (2, 600)


def test_signals(telemetry: Any) -> None:
    """Rate, confidence and accuracy."""
    business.signal(0.8)
    business.signal()
    business.signal_outcome(True)
    business.signal_outcome(False)
    assert telemetry.total("business.signals") == 2
    assert telemetry.total("business.signal.confidence") == 1
    assert telemetry.total("business.signal.outcomes", result="correct") == 1
    assert telemetry.total("business.signal.outcomes", result="wrong") == 1


def test_security(telemetry: Any) -> None:
    """Who was refused, and who was too fast."""
    business.authentication_failed("credentials")
    business.authentication_failed("astrology")
    business.rate_limited("exchange")
    failures = "security.authentication.failures"
    assert telemetry.total(failures, reason="credentials") == 1
    assert telemetry.total(failures, reason="other") == 1
    assert telemetry.total("security.rate_limits", scope="exchange") == 1


def test_it_begins_at_zero(telemetry: Any) -> None:
    """Every declared word, and the sources that are named."""
    business.open(sources=["subscriptions"], symbols=["BTC-USD"])
    for name, points in (("business.payments", 2), ("business.orders", 5), ("business.signals", 1),
                         ("business.signal.outcomes", 2), ("security.rate_limits", 3),
                         ("security.authentication.failures", 5), ("business.revenue", 1),
                         ("business.trading.volume", 1)):  # fmt: skip
        assert [p.value for p in telemetry.metric(name)] == [0] * points, name
