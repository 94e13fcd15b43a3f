"""The table and the waterfall, as a reader sees them."""

from tradespan.report.figures import read_report
from tradespan.report.journeys import gather
from tradespan.report.table import table
from tradespan.report.waterfall import ASCII, waterfall


def test_the_table_has_a_row_a_stage_and_the_facts_below(pipeline, backend):
    """Aligned columns, every figure named, readable without colour."""
    for number in range(3):
        pipeline.filled(f"s{number}", model_ms=40 + 10 * number)
    pipeline.skipped()
    pipeline.flush()
    text = table(read_report(backend, pipeline.namespace, signals=4, sampled=False))
    lines = text.splitlines()
    assert "wait, ms" in lines[0]
    assert "elapsed, ms" in lines[0]
    assert [line.split()[0] for line in lines[2:8]] == [
        "signal",
        "orchestration",
        "validation",
        "risk",
        "execution",
        "outside",
    ]
    validation = lines[4].split()
    assert validation[1:10] == ["3", "2.0", "2.0", "2.0", "50.0", "60.0", "60.0", "67.0", "77.0"]
    assert "p50 160.0 ms, p95 170.0 ms, p99 170.0 ms   (3 fills)" in text
    assert "4: 3 filled, 1 skipped (HOLD)" in text
    assert "3 complete, 0 broken" in text
    assert text.isascii()
    assert all(c.isprintable() for c in text.replace("\n", ""))
    assert max(len(line) for line in lines) <= 120


def test_the_table_says_what_is_wrong(pipeline, backend):
    """Pending, lost and broken stand there with their reason."""
    pipeline.filled("s1", parent_of_execution=None)
    pipeline.filled("s2", traced=False)
    pipeline.flush()
    text = table(read_report(backend, pipeline.namespace, signals=3, sampled=False))
    assert "1 pending, 1 lost" in text
    assert "signal s1: 2 traces instead of one, 2 roots instead of one" in text


def test_the_table_of_nothing_is_a_table(backend):
    """No journey at all: dashes, no error."""
    assert "none" in table(read_report(backend, "none", signals=1, sampled=False))


def drawing(pipeline, backend, style=None, columns=110):
    """Lines of the one journey's waterfall."""
    pipeline.filled("s1", model_ms=40)
    pipeline.flush()
    (journey,) = gather(backend.spans(pipeline.namespace))
    return waterfall(journey, style, columns=columns).splitlines()


def test_the_waterfall_shows_stages_in_order_and_calls_below_them(pipeline, backend):
    """Stages flush left, CLIENT and SERVER spans indented below the stage that holds them."""
    lines = drawing(pipeline, backend)
    assert lines[0] == "One signal, BTC-USD buy, filled after 150.0 ms"
    assert lines[1].startswith("signal s1, trace ")
    rows = lines[4:13]
    assert [row[:26].rstrip() for row in rows] == [
        "signal",
        "orchestration",
        "  POST (client)",
        "  POST /validate (server)",
        "  POST (client)",
        "  POST /assess (server)",
        "validation",
        "risk",
        "execution",
    ]
    assert rows[6].split()[1:5] == ["llm-validation", "17.0", "2.0", "40.0"]


def test_bars_stand_where_the_time_was(pipeline, backend):
    """Wait before work, each at its place on the axis of 150 ms and 150 characters."""
    left = len("  POST /validate (server)  signal-generator  offset  wait   took  ")
    lines = drawing(pipeline, backend, columns=left + 150)
    at = lines[3].index("0  ")
    assert at == left
    execution = lines[12][at:]
    assert execution == " " * 100 + "░" * 20 + "█" * 30
    assert lines[4][at:] == "█" * 5


def test_a_terminal_without_those_characters_gets_plain_ones(pipeline, backend):
    """ASCII draws the same picture."""
    text = "\n".join(drawing(pipeline, backend, ASCII))
    assert text.isascii()
    assert "....####" in text


def test_the_table_names_the_services_that_are_not_heard(pipeline, backend):
    """Of the services that are expected, those that sent nothing are the gap, and are named."""
    pipeline.filled("s1")
    pipeline.flush()
    expected = [*pipeline.services, "hedger", "auditor"]
    found = read_report(backend, pipeline.namespace, signals=1, sampled=False, expected=expected)
    assert found.silent == ("auditor", "hedger")
    assert found.as_dict()["silent"] == ["auditor", "hedger"]
    text = table(found)
    assert "5 of 7 report: " in text
    assert "silent: auditor, hedger" in text
    whole = read_report(backend, pipeline.namespace, signals=1, sampled=False)
    assert whole.silent == ()
    assert "silent" not in table(whole)
