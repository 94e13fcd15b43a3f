"""A service whose root logger has WARNING, as everybody's has, and that asks, hands on and filters.

Nothing of this may be told from what it prints, but for records that only an export wants.
"""

import logging
import sys

logging.basicConfig(format="%(levelname)s %(name)s %(message)s", stream=sys.stdout)
desk, other = logging.getLogger("desk"), logging.getLogger("other")


def received(level: int, text: str) -> logging.LogRecord:
    """A record that came from another process."""
    facts = {"name": "desk", "levelno": level, "levelname": logging.getLevelName(level)}
    return logging.makeLogRecord({**facts, "msg": text})


if desk.isEnabledFor(logging.INFO):  # a guard before an expensive message
    print("ours alone", file=sys.stderr)
desk.handle(received(logging.ERROR, "an order failed elsewhere"))
desk.handle(received(logging.INFO, "handed on unasked"))
for record in (received(logging.INFO, "nobody wants this"), received(logging.ERROR, "asked first")):
    if desk.isEnabledFor(record.levelno):
        desk.handle(record)
desk.info("too low")
desk.handle(received(logging.ERROR, "after one that was too low"))


class Chatty(logging.Filter):
    """Logs itself, about every record that passes."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let all pass."""
        other.debug("of no interest")
        if record.levelno >= logging.WARNING:
            other.warning("seen: %s", record.msg)
        return True


desk.addFilter(Chatty())
desk.info("too low, and filtered")
desk.warning("high enough, and filtered")
desk.filters.clear()


class Own(logging.Logger):
    """Makes its records itself."""

    def makeRecord(self, *args: object, **_: object) -> logging.LogRecord:
        """One without extras."""
        return logging.LogRecord(*args[:7])  # type: ignore[arg-type]


own = Own("own")
own.parent = logging.getLogger()
own.info("too low, and made elsewhere")
own.error("high enough, and made elsewhere")
desk.info("its extra overwrites a record's own", extra={"name": "x", "symbol": "BTC-USD"})
desk.log(logging.INFO, "bad %d", "x")
