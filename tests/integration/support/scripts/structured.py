"""A service that logs with business context, by one of several libraries and configurations."""

import logging
import logging.config
import logging.handlers
import queue
import sys

import tradespan

way = sys.argv[1]
FORMAT = "%(levelname)s %(name)s %(message)s"
if way == "basic":
    logging.basicConfig(level=logging.INFO, format=FORMAT, stream=sys.stdout)
elif way == "dict":
    logging.config.dictConfig(
        {
            "version": 1,
            "formatters": {"short": {"format": FORMAT}},
            "handlers": {
                "out": {"class": "logging.StreamHandler", "formatter": "short"},
                "file": {"class": "logging.FileHandler", "filename": "x.log", "formatter": "short"},
            },
            "root": {"handlers": ["out", "file"], "level": "INFO"},
        }
    )
elif way == "queue":
    waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    out = logging.StreamHandler(sys.stdout)
    listener = logging.handlers.QueueListener(waiting, out)
    logging.basicConfig(level=logging.INFO, handlers=[logging.handlers.QueueHandler(waiting)])
    listener.start()

if way.startswith("structlog"):
    import structlog

    from tradespan.export.other_loggers import structlog_json

    first = [structlog.contextvars.merge_contextvars, structlog.processors.add_log_level]
    if way == "structlog-logging":
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
        structlog.configure(
            processors=[*first, structlog_json],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
        )
    elif way == "structlog-formatter":
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(processors=[structlog.processors.JSONRenderer()])
        )
        logging.basicConfig(level=logging.INFO, handlers=[handler])
        structlog.configure(
            processors=[*first, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
        )
    else:
        structlog.configure(processors=[*first, structlog_json])
    desk = structlog.get_logger("desk")

    def say(level: str, text: str, **extra: object) -> None:
        getattr(desk, level)(text, **extra)

elif way == "loguru":
    from loguru import logger

    from tradespan.export.other_loggers import loguru_json

    logger.configure(handlers=[{"sink": loguru_json}])

    def say(level: str, text: str, **extra: object) -> None:
        with logger.contextualize(**extra):
            getattr(logger, level)(text)

else:
    log = logging.getLogger("desk")

    def say(level: str, text: str, **extra: object) -> None:
        getattr(log, level)(text, extra=extra)


with tradespan.signal(symbol="BTC-USD", signal_id="s-1"):
    with tradespan.execution(symbol="BTC-USD") as e:
        e.set(order_id="o-1")
        say("info", "filled\nin two", symbol="BTC-USD", quantity=0.5, request_id="r-1")
        say("warning", "password=hunter2hunter2")
        try:
            raise ValueError("bad price")
        except ValueError:
            say("exception", "an exception line")
say("info", "paid", stream="revenue", user_id="u-1", amount=9.5)
if way == "queue":
    listener.stop()
