"""Credentials leave no process, and what is no credential stays readable."""

from __future__ import annotations

import contextlib
import random
from collections import deque, namedtuple
from types import MappingProxyType
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from tradespan import guard
from tradespan.export.redact import MASK, Redactor, SafeLogExporter, SafeSpanExporter
from tradespan.settings import load

SECRET = "hunter2-Zx81-q9"
redactor = Redactor()

Pair = namedtuple("Pair", "name value")


@pytest.mark.parametrize(
    "key",
    [
        "password", "PASSWORD", "db.password", "db_passwd", "user.passphrase", "secret",
        "client_secret", "aws-secret-access-key", "api_key", "apiKey", "x-api-key", "api.key",
        "private_key", "private-key", "privateKey", "credentials", "aws.credential",
        "authorization", "http.request.header.authorization", "proxy-authorization",
        "cookie", "set-cookie", "http.response.header.set_cookie",
        "token", "auth_token", "accessToken", "refresh-token", "session_token", "bearer.token",
        "X-MBX-APIKEY", "CB-ACCESS-KEY", "CB-ACCESS-SIGN", "CB-ACCESS-PASSPHRASE", "API-Sign",
        "signature",
    ],
)  # fmt: skip
def test_values_of_secret_keys_are_masked_whole(key: str) -> None:
    """Whatever kind of value a secret key has, nothing of it is left."""
    for value in (SECRET, 12345678, [SECRET], {"a": SECRET}, SECRET.encode(), None):
        assert redactor.attributes({key: value}) == {key: MASK}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gen_ai.usage.input_tokens", 120),
        ("gen_ai.usage.output_tokens", 30),
        ("gen_ai.request.max_tokens", 4096),
        ("llm.token_count", 150),
        ("trading.signal.id", "9f86d081884c7d65"),
        ("trading.origin", "1700000000000000000"),
        ("trading.symbol", "BTC-USD"),
        ("trading.order.id", "c2b1f8e0-6a57-4e7c-8f5c-0d0b3f6a9d11"),
        ("trading.reason", "signal too weak: 0.4 < 0.6"),
        ("session.id", "a1b2"),
        ("db.query.text", "select key, secretary from tokens_of_interest"),
        ("http.route", "/auth/login"),
        ("url.full", "https://api.example.com:8443/orders?symbol=BTC-USD&limit=10"),
        ("author", "jane"),
        ("passed", True),
        ("keyboard", "qwerty"),
        ("tokenizer", "bpe"),
    ],
)
def test_what_is_no_credential_stays(key: str, value: Any) -> None:
    """Counts of tokens, ids, symbols and plain words are kept as they are."""
    assert redactor.attributes({key: value}) == {key: value}


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"authorization: bearer {SECRET}",
        "Authorization: Basic aHVudGVyMi1aeDgxLXE5",
        f"https://user:{SECRET}@example.com/x",
        f"redis://:{SECRET}@127.0.0.1:6379/0",
        f"postgresql+psycopg://trader:{SECRET}@db:5432/trades",
        f"mysql://trader:p@ss{SECRET}@db/trades",
        f"two: amqp://a:{SECRET}@x and amqp://b:{SECRET}@y",
        f"password={SECRET}",
        f"PASSWORD = {SECRET}",
        f"db_password: {SECRET}",
        f'{{"password": "{SECRET}"}}',
        f"{{'api_key': '{SECRET}'}}",
        f"api-key={SECRET}&symbol=BTC",
        f"https://api.example.com/v3/order?symbol=BTC&signature={SECRET}",
        f"?access_token={SECRET}#top",
        f"client_secret={SECRET};",
        f'cut short: {{"symbol": "BTC", "password": "{SECRET}',
        f"cut short: {{'password': '{SECRET}",
        f'{{\\"api_key\\": \\"{SECRET}\\"}}',
        f'{{"password": "two words {SECRET}"}}',
        f'password="it\'s {SECRET}"',
        "password=Zx8",
        f"passphrase={SECRET}",
        f"CB-ACCESS-KEY: {SECRET}",
        f"CB-ACCESS-SIGN: {SECRET}",
        f"multi\nline password={SECRET}\nend",
        "token=eyJhbGciOiJIUzI1NiJ9.hunter2Zx81q9.c2lnbmF0dXJl",
        "got eyJhbGciOiJIUzI1NiJ9.hunter2Zx81q9.c2lnbmF0dXJl back",
        "key sk-proj-hunter2Zx81q9hunter2Zx81q9 refused",
        "ghp_hunter2Zx81q9hunter2Zx81q9",
        "-----BEGIN EC PRIVATE KEY-----\nhunter2Zx81q9\n-----END EC PRIVATE KEY-----",
    ],
)
def test_credentials_in_texts_are_masked(text: str) -> None:
    """Wherever a credential stands in a text, nothing of it is left; the rest is."""
    masked = redactor.text(text)
    for part in ("hunter2", "Zx8", "aHVudGVy", "p@ss"):
        assert part not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "text",
    [
        f"PaSsWoRd={SECRET}",
        f"pa\u017f\u017fword={SECRET}",  # long s
        f"to\u212aen={SECRET}",  # Kelvin's sign
        f"AP\u0130_KEY={SECRET}",
        f"\u0130\u0130\u0130 token={SECRET} \u0130",
        f"BeArEr {SECRET}",
        f"é bearer\n{SECRET}",
    ],
)
def test_letters_of_any_case(text: str) -> None:
    """Capitals and letters that are only cased so do not hide a key, nor shift what is masked."""
    masked = redactor.text(text)
    assert SECRET not in masked
    assert masked == text.replace(SECRET, MASK)


@pytest.mark.parametrize("length", [1000, 2000, 10**6])
@pytest.mark.parametrize(
    "secret",
    [
        f"Authorization: Bearer {SECRET}{SECRET}",
        f"https://user:{SECRET}@example.com/x",
        f"password={SECRET}",
        f'"password": "two words {SECRET}"',
        "sk-proj-hunter2Zx81q9hunter2Zx81q9",
        f"-----BEGIN EC PRIVATE KEY-----\nhunter2{'x' * 3000}\n-----END EC PRIVATE KEY-----",
    ],
)
def test_a_credential_at_the_cut(secret: str, length: int) -> None:
    """Wherever a text is cut through a credential, nothing of that is left; the text is short."""
    short = redactor.up_to(1000)
    for fill in ("x ", "password=hunter2hunter2 "):  # what is masked moves the cut
        for at in (1000, 2000):
            for before in range(0, len(secret[:80]), 3):
                text = (fill * at)[: at - before - 1] + " " + secret
                masked = short.text(text + " y" * length)
                assert "unter2" not in masked
                assert "Zx81" not in masked
                assert len(masked) <= 1003


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"GET https://u:{SECRET}@h/x?y=1 200", f"GET https://u:{MASK}@h/x?y=1 200"),
        (f"a=1&password={SECRET}&b=2", f"a=1&password={MASK}&b=2"),
        (f'{{"password": "{SECRET}", "b": 2}}', f'{{"password": "{MASK}", "b": 2}}'),
        (f"Authorization: Bearer {SECRET}, next", f"Authorization: Bearer {MASK}, next"),
    ],
)
def test_what_stands_beside_stays_readable(text: str, masked: str) -> None:
    """Only the credential itself goes; host, path and other fields stay."""
    assert redactor.text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "order filled: 0.1 BTC-USD at 97000.0",
        "basic validation passed",
        "a basic implementation of momentum",
        "bearer of news",
        "max_tokens=4096 input_tokens: 1200",
        "traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "trading.signal.id=9f86d081884c7d65,trading.origin=1700000000000000000,trading.mode=replay",
        "https://api.example.com/a:b@c",
        "mail trader@example.com at 10:30",
        "10:15:00 http://127.0.0.1:4318/v1/traces",
        "the secret of the token is patience",
        "password",
        "password:",
    ],
)
def test_plain_texts_are_untouched(text: str) -> None:
    """Prose, ids, baggage and addresses without credentials are as they were."""
    assert redactor.text(text) == text


def test_what_is_not_finite_is_text() -> None:
    """A service's own NaN would make every search of Jaeger's that finds it answer 500."""
    given = {"price": float("nan"), "levels": [1.0, float("-inf")], "quantity": 0.5}
    told = redactor.attributes(given)
    assert told == {"price": "nan", "levels": [1.0, "-inf"], "quantity": 0.5}


def test_nested_bodies() -> None:
    """Mappings and lists are masked in depth, and keep their shape."""
    body = {
        "order": {"symbol": "BTC-USD", "auth": [{"api_key": SECRET}, f"password={SECRET}"]},
        "tags": ["a", f"Bearer {SECRET}"],
        "n": 1,
        "raw": b"\x00\xff",
        "none": None,
    }
    assert redactor.value(body) == {
        "order": {"symbol": "BTC-USD", "auth": [{"api_key": MASK}, f"password={MASK}"]},
        "tags": ["a", f"Bearer {MASK}"],
        "n": 1,
        "raw": b"\x00\xff",
        "none": None,
    }


@pytest.mark.parametrize(
    "value",
    [
        Pair("x", f"password={SECRET}"),
        deque([f"password={SECRET}"]),
        range(3),
        memoryview(b"abc"),
        bytearray(b"abc"),
        MappingProxyType({"password": SECRET}),
        {1: f"password={SECRET}"},
        [[[[f"password={SECRET}"]]]],
    ],
    ids=lambda v: type(v).__name__,
)
def test_any_kind_of_sequence_and_mapping(value: Any) -> None:
    """Rows, queues, ranges and read-only mappings can be masked too."""
    assert SECRET not in repr(redactor.value(value))


def test_a_body_that_contains_itself() -> None:
    """A log body with a circle in it costs itself at most, and hangs nothing."""
    circle: dict[str, Any] = {"password": SECRET}
    circle["self"] = circle
    try:
        masked = redactor.value(circle)
    except RecursionError:
        return
    assert SECRET not in repr(masked)


@pytest.mark.parametrize("pattern", ["iban", "^acct_", "(?i)IBAN", r"(a)cct\1?", "iban|bic"])
def test_the_users_own_patterns(pattern: str) -> None:
    """Every pattern that the settings take works, beside ours."""
    own = Redactor(load({"TRADESPAN_REDACT": pattern}).redact)
    secret = {"iban": "DE1", "acct_no": "1"}
    masked = own.attributes({**secret, "password": SECRET, "symbol": "BTC"})
    assert MASK in (masked["iban"], masked["acct_no"])
    assert masked["password"] == MASK
    assert masked["symbol"] == "BTC"


# --- the exporters


class Spans:
    """Spans made by a real SDK, exported through the redaction."""

    def __init__(self) -> None:
        self.plain, self.safe = InMemorySpanExporter(), InMemorySpanExporter()
        self.told: list[bool] = []
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.plain))
        provider.add_span_processor(
            SimpleSpanProcessor(SafeSpanExporter(self.safe, redactor, self.told.append))
        )
        self.tracer = provider.get_tracer("x")


def test_spans_are_masked_everywhere() -> None:
    """Name, attributes, events, exception, status: nothing of the secret leaves."""
    spans = Spans()
    with contextlib.suppress(ValueError):
        with spans.tracer.start_as_current_span(
            f"GET https://u:{SECRET}@h/", attributes={"password": SECRET, "n": 1, "l": ["a", "b"]}
        ) as span:
            span.add_event(f"sent password={SECRET}", {"api_key": SECRET, "ok": True})
            raise ValueError(f"refused: token={SECRET}")
    (masked,) = spans.safe.get_finished_spans()
    assert SECRET not in masked.to_json()
    attributes = {k: list(v) if k == "l" else v for k, v in (masked.attributes or {}).items()}
    assert attributes == {"password": MASK, "n": 1, "l": ["a", "b"]}
    assert masked.status.status_code is StatusCode.ERROR
    assert [e.name for e in masked.events] == [f"sent password={MASK}", "exception"]
    assert masked.events[0].attributes == {"api_key": MASK, "ok": True}
    assert spans.told == [True]


def test_the_span_itself_is_not_touched() -> None:
    """Other processors of the service see their span as it was; times and ids are the same."""
    spans = Spans()
    with spans.tracer.start_as_current_span("x", attributes={"password": SECRET}) as span:
        span.set_status(Status(StatusCode.ERROR, f"password={SECRET}"))
    (plain,), (masked,) = spans.plain.get_finished_spans(), spans.safe.get_finished_spans()
    assert plain.attributes == {"password": SECRET}
    assert plain.status.description == f"password={SECRET}"
    assert masked.status.description == f"password={MASK}"
    for part in ("context", "parent", "kind", "start_time", "end_time", "resource", "links",
                 "instrumentation_scope"):  # fmt: skip
        assert getattr(masked, part) == getattr(plain, part)
    assert masked.to_json()


def test_secrets_beyond_the_length_limit_are_masked_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A long text is masked whole: half a credential at a cut is still one."""
    text = "x " * 5000 + f"password={SECRET} " + "y" * 5000
    assert SECRET not in redactor.text(text)
    assert len(redactor.text(text)) > 14_000


def log_record(body: Any, **attributes: Any) -> ReadableLogRecord:
    """A log record as the SDK hands it to an exporter."""
    record = LogRecord(
        timestamp=1, severity_number=SeverityNumber.INFO, body=body, attributes=attributes
    )
    return ReadableLogRecord(record, Resource.get_empty(), None)


def test_log_records_are_masked_everywhere() -> None:
    """Body, nested body and attributes are masked; the record itself is not touched."""
    inner = InMemoryLogRecordExporter()
    told: list[bool] = []
    exporter = SafeLogExporter(inner, redactor, told.append)
    records = [
        log_record(f"connecting to redis://:{SECRET}@h", password=SECRET, n=1),
        log_record({"order": {"api_key": SECRET}}, url=f"https://u:{SECRET}@h"),
        log_record(None),
    ]
    assert exporter.export(records) is LogRecordExportResult.SUCCESS
    found = [r.log_record for r in inner.get_finished_logs()]
    assert SECRET not in repr([(r.body, dict(r.attributes or {})) for r in found])
    assert found[0].attributes == {"password": MASK, "n": 1}
    assert found[1].body == {"order": {"api_key": MASK}}
    assert found[2].body is None
    assert SECRET in repr(records[0].log_record.body)
    assert told == [True]
    assert exporter.force_flush() is True
    exporter.shutdown()


def test_what_cannot_be_masked_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record whose masking fails does not leave unmasked, and takes no other with it."""
    monkeypatch.setattr(guard, "strict", False)

    class Fragile(Redactor):
        def text(self, value: str) -> str:
            if "cursed" in value:
                raise RuntimeError(value)
            return super().text(value)

    logs, spans = InMemoryLogRecordExporter(), InMemorySpanExporter()
    before = guard.failures["export.redact"]
    SafeLogExporter(logs, Fragile(), lambda _: None).export(
        [log_record("one"), log_record("cursed"), log_record("two")]
    )
    assert [r.log_record.body for r in logs.get_finished_logs()] == ["one", "two"]
    made = Spans()
    for name in ("one", "cursed", "two"):
        made.tracer.start_span(name).end()
    SafeSpanExporter(spans, Fragile(), lambda _: None).export(made.plain.get_finished_spans())
    assert [s.name for s in spans.get_finished_spans()] == ["one", "two"]
    assert guard.failures["export.redact"] > before
    guard.failures.clear()


def test_a_failed_export_is_told() -> None:
    """The outcome of the configured exporter is passed on and told."""

    class Refusing(InMemorySpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.FAILURE

    told: list[bool] = []
    exporter = SafeSpanExporter(Refusing(), redactor, told.append)
    assert exporter.export([]) is SpanExportResult.FAILURE
    assert told == [False]
    assert exporter.force_flush() is True
    exporter.shutdown()


def test_random_texts_never_raise() -> None:
    """No text makes masking fail, and what comes out can be encoded."""
    source = random.Random(7)
    words = ["password", "token", "=", ":", "://", "@", "Bearer ", "eyJ", "sk-", '"', "\\", "\n",
             " ", "a" * 30, "\x00", "é", "\ud800", "-----BEGIN PRIVATE KEY-----"]  # fmt: skip
    for _ in range(2000):
        text = "".join(source.choices(words, k=source.randrange(30)))
        assert redactor.text(text).encode() is not None


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text", ["a" * 200_000, "://" * 50_000, "://a:" * 40_000, "password" * 25_000,
             "-" * 200_000, "bearer " * 30_000, "eyJ" * 60_000, " " * 200_000,
             "-----BEGIN PRIVATE KEY-----" * 2000, "a-" * 50_000, "a." * 100_000, "=" * 200_000,
             "token=" * 30_000, '"' * 200_000, "bearer-1" * 20_000],
    ids=lambda t: t[:9],
)  # fmt: skip
def test_no_text_hangs(text: str) -> None:
    """Long and repetitive texts are masked in reasonable time."""
    redactor.text(text)


def test_current_span_is_not_exported_by_redaction() -> None:
    """Masking makes no telemetry of its own."""
    redactor.text(f"password={SECRET}")
    assert trace.get_current_span() is trace.INVALID_SPAN
