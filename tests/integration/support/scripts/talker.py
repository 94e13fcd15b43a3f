"""A service that logs, configured in one of several ways."""

import logging
import logging.config
import sys

import tradespan

early = logging.getLogger("early")
way = sys.argv[1]
FORMAT = "%(levelname)s %(name)s %(message)s"
if way == "basic":
    logging.basicConfig(level=logging.INFO, format=FORMAT, stream=sys.stdout)
elif way == "debug":
    logging.basicConfig(level=logging.DEBUG, format=FORMAT)
elif way == "dict":
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": True,
            "formatters": {"short": {"format": FORMAT}},
            "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "short"}},
            "loggers": {"desk": {"handlers": ["out"], "level": "INFO", "propagate": False}},
        }
    )

desk = logging.getLogger("desk")
with tradespan.signal(symbol="BTC-USD") as signal:
    desk.debug("a debug line")
    desk.info("an info line for %s", "BTC-USD")
    desk.warning("a warning line")
    desk.warning("login with password=hunter2hunter2 and Authorization: Bearer abcdefgh12345678")
    early.warning("an early line")
    try:
        raise ValueError("bad price")
    except ValueError:
        desk.exception("an exception line")
    logging.disable(logging.WARNING)
    desk.warning("a disabled line")
    desk.error("an error line")
    logging.disable(logging.NOTSET)
logging.getLogger("chatty").setLevel(logging.WARNING)
logging.getLogger("chatty.client").info("a chatty line")
desk.info("a line outside")
facts = {"name": "desk", "levelno": logging.DEBUG, "levelname": "DEBUG", "msg": "a handled line"}
desk.handle(logging.makeLogRecord(facts))  # a listener of other processes' records does this
logging.getLogger("desk.child").warning("a child's line")
print("signal", signal.signal_id if len(sys.argv) > 2 else "", logging.getLogger().handlers)
