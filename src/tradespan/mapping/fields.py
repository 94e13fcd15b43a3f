"""Texts of the file as fields of the model: durations, paths, rules, targets, routes, hosts."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import Field
from pydantic_core import CoreSchema, core_schema

from tradespan import settings
from tradespan.mapping import paths, rules, targets

_NAME = r"^[A-Za-z0-9_.-]{1,64}$(?!\n)"
_HOST = r"^(\[[0-9a-f:]+\]|[\w.*?-]+)(:[\d*]+)?\Z"
_ROUTE = r"^(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (/\S*)$"


class Before:
    """pydantic's BeforeValidator, but it looks at no signature: at start that is half the time."""

    def __init__(self, validate: Callable[[Any], Any]) -> None:
        self._validate = validate

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._validate, handler(source))


def _parsed(parse: Any, kind: str) -> Before:
    """A validator that parses a text where the file has one."""

    def validate(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError(f"a {kind} is a text")  # noqa: TRY004 - pydantic's own exception
        return parse(value)

    return Before(validate)


def _seconds(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return settings.duration("duration", value)
        except settings.ConfigError as error:
            raise ValueError(f"{value!r} is no duration: {error.hint}") from None
    raise ValueError(f"{value!r} is no duration: give one with its unit, like 250ms, 2s or 24h")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


def _route(value: Any) -> tuple[str, str]:
    found = re.match(_ROUTE, value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is no route; write it like POST /orders/{{order_id}}")
    return found[1], found[2]


def _host(value: Any) -> str:
    text = str(value).strip().lower()
    if "://" in text:
        text = urlsplit(text).netloc.rpartition("@")[2]
    if not re.match(_HOST, text):
        raise ValueError(f"{value!r} is no host; write HOST, HOST:PORT or a URL")
    return text


def _empty(value: Any) -> Any:
    """A key with nothing after it is said all the same."""
    return {} if value is None else value


CLIENTS: Final = ("asyncmy", "mysql.connector", "psycopg", "pymysql", "sqlalchemy", "sqlite3")
"""Database clients that can be timed by name."""


def _client(value: Any) -> Any:
    if value not in CLIENTS:
        raise ValueError(f"{value!r} is no client that is known; one of {', '.join(CLIENTS)}")
    return value


Seconds = Annotated[float, Before(_seconds)]
Name = Annotated[str, Field(pattern=_NAME)]
PathText = Annotated[Any, _parsed(paths.parse, "path")]
RuleText = Annotated[Any, _parsed(rules.parse, "rule")]
TargetText = Annotated[Any, _parsed(targets.parse, "target")]
Client = Annotated[str, Before(_client)]
Host = Annotated[str, Before(_host)]
EMPTY: Final = Before(_empty)
"""`begins:` with nothing after it is `begins: {}`."""
Route = Annotated[tuple[str, str], Before(_route)]
Rules = Annotated[list[RuleText], Before(_listed)]
Targets = Annotated[list[TargetText], Before(_listed)]
Routes = Annotated[list[Route], Before(_listed)]


def known(names: Collection[str], kind: str) -> Before:
    """A validator of a mapping whose keys are of these names."""

    def validate(given: Any) -> Any:
        for name in given if isinstance(given, dict) else ():
            if name not in names:
                raise ValueError(f"{name!r} is no {kind}; one of {', '.join(sorted(names))}")
        return given

    return Before(validate)
