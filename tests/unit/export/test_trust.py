"""Which hosts may receive trace context and ids."""

from __future__ import annotations

import random
import string

import pytest

from tradespan.export.trust import trusted
from tradespan.settings import load


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST", "localhost.", "redis", "llm-validation", "a",
        "127.0.0.1", "127.8.9.10", "10.0.0.7", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "100.64.0.1", "::1", "[::1]", "fd00::1", "fe80::1", "fe80::1%eth0", "::ffff:10.0.0.1",
        "risk.trading.svc", "risk.trading.svc.cluster.local", "risk.trading.svc.cluster.local.",
        "db.internal", "metadata.google.internal", "app.localhost", "RISK.Trading.SVC",
    ],
)  # fmt: skip
def test_trusted_by_itself(host: str) -> None:
    """Loopback, private ranges, single labels and cluster names may have our context."""
    assert trusted(host)


@pytest.mark.parametrize(
    "host",
    [
        "", ".", "api.coinbase.com", "api.anthropic.com", "example.com", "8.8.8.8", "172.32.0.1",
        "11.0.0.1", "192.169.0.1", "100.128.0.1", "169.254.169.254", "0.0.0.0", "2001:db8::1",
        "::ffff:8.8.8.8", "[2001:4860:4860::8888]", "10.0.0.1.evil.com", "localhost.evil.com",
        "svc.evil.com", "evilsvc.com", "notinternal.com", "x.svc.cluster.local.evil.com",
        "2130706433", "0x7f000001", "127.1", "0177.0.0.1", "1e100", "localhost.localdomain",
        "api。binance。com", "ａpi", "xn--80ak6aa92e.com", "api.coinbase.com.", "a b.com",
        "*.svc.com", "evil.com%.svc.com",
    ],
)  # fmt: skip
def test_not_trusted_by_itself(host: str) -> None:
    """Exchanges, model vendors, public addresses and disguises of them may not."""
    assert not trusted(host)


@pytest.mark.parametrize(
    ("host", "to", "never", "answer"),
    [
        ("api.partner.com", ("api.partner.com",), (), True),
        ("API.Partner.com", ("api.partner.com",), (), True),
        ("a.partner.com", ("*.partner.com",), (), True),
        ("partner.com", ("*.partner.com",), (), False),
        ("evilpartner.com", ("*.partner.com",), (), False),
        ("partner.com.evil.com", ("*partner.com",), (), False),
        ("8.8.8.8", ("8.8.8.*",), (), True),
        ("anything.com", ("*",), (), True),
        ("anything.com", ("*",), ("*",), False),
        ("api.internal", (), ("api.*",), False),
        ("api.partner.com", ("*.partner.com",), ("api.*",), False),
        ("localhost", (), ("localhost",), False),
        ("127.0.0.1", (), ("127.*",), False),
        ("10.0.0.7", ("10.0.0.7",), ("10.0.0.7",), False),
    ],
)
def test_the_users_lists(
    host: str, to: tuple[str, ...], never: tuple[str, ...], answer: bool
) -> None:
    """The settings add hosts; the deny list wins over everything."""
    assert trusted(host, to, never) is answer


@pytest.mark.parametrize("address", ["2001:db8::1", "2001:DB8::1"])
def test_lists_of_addresses_in_brackets(address: str) -> None:
    """An IPv6 address in brackets, as the settings take it, is that address and no pattern."""
    to = load({"TRADESPAN_PROPAGATE_TO": "[2001:db8::1]"}).propagate_to
    never = load({"TRADESPAN_PROPAGATE_NEVER": "[fd00::1]"}).propagate_never
    assert trusted(address, to)
    assert trusted(f"[{address}]", to)
    assert not trusted("2001:db8::2", to)
    assert not trusted("fd00::1", (), never)
    assert trusted("fd00::2", (), never)


def test_public_names_are_never_trusted() -> None:
    """No random name below a public domain, and no public address, slips through."""
    source = random.Random(3)
    for _ in range(2000):
        label = "".join(source.choices(string.ascii_lowercase + string.digits + "-", k=8))
        assert not trusted(f"{label}.{source.choice(['com', 'io', 'net', 'co.uk'])}")
        assert not trusted(f"{source.randrange(20, 99)}.{source.randrange(256)}.1.2")


def test_hostile_hosts_never_raise() -> None:
    """Whatever stands where a host should be gets an answer."""
    source = random.Random(4)
    alphabet = string.printable + "é。[]%\x00"
    for _ in range(2000):
        text = "".join(source.choices(alphabet, k=source.randrange(20)))
        assert trusted(text) in (True, False)
