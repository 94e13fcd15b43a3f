"""What a model costs: declared by TRADESPAN_PRICES, else known to genai-prices, else unknown."""

from __future__ import annotations

import functools
import importlib.util
import logging
import math
import re
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tradespan.recorders.usage import Usage
from tradespan.settings import ConfigError

log = logging.getLogger("tradespan")

_KEY: Final = "TRADESPAN_PRICES"
_LOCAL: Final = ("ollama", "llama.cpp", "vllm", "local")
_SIZED: Final = re.compile(r":(?:latest|[0-9.]+[bm](?:[-_].*)?)$")  # llama3.2:3b, phi4:latest
_MILLION: Final = 1e6
_MOST_NAMES: Final = 1000
_asked: dict[tuple[str, str, str], bool] = {}
_told: set[str] = set()


@dataclass(frozen=True, slots=True)
class Price:
    """The declared price of a model, USD; what is not declared costs nothing.

    Attributes:
        per_hour: of its work.
        per_million_input: tokens of the prompt.
        per_million_output: tokens of the answer.
        per_million_cache_read: tokens of the prompt that a cache had; as the input where None.
        per_million_cache_write: tokens of the prompt that a cache took; as the input where None.
    """

    per_hour: float | None = None
    per_million_input: float | None = None
    per_million_output: float | None = None
    per_million_cache_read: float | None = None
    per_million_cache_write: float | None = None

    def of(self, usage: Usage) -> float | None:
        """USD of one call; None where the figure that is priced is not known."""
        total = 0.0
        if self.per_hour is not None:
            if usage.seconds is None:
                return None
            total += usage.seconds / 3600 * self.per_hour
        if self._by_token:
            if usage.input_tokens is None and usage.output_tokens is None:
                return None
            total += self._tokens(usage) / _MILLION
        return total

    @property
    def _by_token(self) -> bool:
        return self.per_million_input is not None or self.per_million_output is not None

    def _tokens(self, usage: Usage) -> float:
        each = self.per_million_input or 0.0
        read = each if self.per_million_cache_read is None else self.per_million_cache_read
        write = each if self.per_million_cache_write is None else self.per_million_cache_write
        cached = usage.cache_read_tokens + usage.cache_write_tokens
        return (
            max(0, (usage.input_tokens or 0) - cached) * each
            + usage.cache_read_tokens * read
            + usage.cache_write_tokens * write
            + (usage.output_tokens or 0) * (self.per_million_output or 0.0)
        )


@functools.lru_cache(maxsize=8)
def declared(text: str) -> Mapping[str, Price]:
    """The prices that a setting declares, by model name or pattern, in its order.

    Arguments:
        text: path of a YAML or JSON file, or the YAML or JSON itself.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    if not text.strip():
        return {}
    entries = _parsed(text)
    if not isinstance(entries, Mapping):
        raise ConfigError(_KEY, text[:80], "write it as {model: {per_hour: 0.45}}, or as a file")
    return {str(model).lower(): _price(str(model), entry) for model, entry in entries.items()}


@functools.lru_cache(maxsize=8)
def applied(text: str) -> Mapping[str, Price] | None:
    """As `declared`; None, said once and not tried again, where it cannot be read. Never raises."""
    try:
        return declared(text)
    except ConfigError as error:
        if _is_first(text):
            log.error("the prices of models are not applied: %s", error)
        return None


def declared_for(model: str, prices: Mapping[str, Price]) -> Price | None:
    """The price declared for a model: under its own name, else under the first pattern it fits."""
    name = model.lower()
    if name in prices:
        return prices[name]
    return next((price for pattern, price in prices.items() if fnmatchcase(name, pattern)), None)


def known(usage: Usage) -> float | None:
    """USD of one call by genai-prices; None for a local model, an unknown one, or without it."""
    asked = (usage.model.lower(), usage.provider, _host(usage.url))
    is_tokens = usage.input_tokens is not None and usage.output_tokens is not None
    if not usage.model or not is_tokens or _is_local(usage) or not _is_installed():
        return None
    if _asked.get(asked) is False or (asked not in _asked and len(_asked) >= _MOST_NAMES):
        return None  # genai-prices would remember every name that it does not know
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    where: dict[str, Any] = {}
    if asked[2]:
        where["provider_api_url"] = asked[2]
    elif usage.provider:
        where["provider_id"] = usage.provider
    cached = {
        "cache_read_tokens": usage.cache_read_tokens or None,
        "cache_write_tokens": usage.cache_write_tokens or None,
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tokens = Tokens(
                input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, **cached
            )
            price = float(calc_price(tokens, usage.model, **where).total_price)
    except LookupError:
        _asked[asked] = False
        return None
    except ValueError:  # of this usage, not of the model
        return None
    _asked[asked] = True
    return price if math.isfinite(price) and price >= 0 else None


def tell_unpriced(usage: Usage, own: Price | None) -> None:
    """Say once for a model that its cost is unknown, and what would mend it.

    Arguments:
        own: its declared price, which its usage does not fit.
    """
    if not _is_first(usage.model):
        return
    if own is not None:
        hint = "its answer does not tell what its price counts: pass seconds= or tokens to usage()"
    elif usage.is_empty:
        hint = "its answer does not tell its usage: a stream of OpenAI needs include_usage"
    elif _is_local(usage) or _is_installed():
        hint = "declare it in TRADESPAN_PRICES, per_hour or per_million_input and _output"
    else:
        hint = "pip install 'tradespan[costs]' knows the vendors' prices, TRADESPAN_PRICES your own"
    log.warning("the cost of model %r is unknown and counts as unpriced (hint: %s)",
                usage.model or "unknown", hint)  # fmt: skip


def _is_first(said: str) -> bool:
    if said in _told or len(_told) >= _MOST_NAMES:
        return False
    _told.add(said)
    return True


def warm() -> None:
    """Load genai-prices beside the service: its table takes a third of a second. Never raises."""
    if _warmed.acquire(blocking=False) and _is_installed():
        threading.Thread(target=_load, name="tradespan-prices", daemon=True).start()


_warmed = threading.Lock()


def _load() -> None:
    try:
        import genai_prices.data  # noqa: F401
    except Exception:  # the first call says it
        log.debug("genai-prices cannot be loaded", exc_info=True)


@functools.cache
def _is_installed() -> bool:
    return importlib.util.find_spec("genai_prices") is not None


def _is_local(usage: Usage) -> bool:
    """Whether it runs on a machine of the user's: no vendor's price is that of `deepseek-r1:8b`."""
    return usage.provider in _LOCAL or (not usage.url and bool(_SIZED.search(usage.model.lower())))


def _host(url: str) -> str:
    """Scheme and host only: paths have ids in them. What has none stays: it is no vendor's."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.scheme}://{parts.hostname}" if parts.scheme and parts.hostname else url


def _parsed(text: str) -> Any:
    import yaml

    inline = text.lstrip().startswith("{") or "\n" in text.strip() or ": " in text
    try:
        return yaml.safe_load(text if inline else Path(text.strip()).expanduser().read_text())
    except (OSError, RuntimeError, ValueError) as error:  # no home, nested too deep
        raise ConfigError(_KEY, text[:80], f"no file that can be read: {error}") from None
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise ConfigError(_KEY, text[:80], f"neither YAML nor JSON: {said}") from None


def _price(model: str, entry: Any) -> Price:
    allowed = [f.name for f in fields(Price)]
    if not isinstance(entry, Mapping) or not entry or not set(entry) <= set(allowed):
        said = entry if not isinstance(entry, Mapping) else ", ".join(map(str, entry))
        raise ConfigError(f"{_KEY}: {model}", said, f"some of {', '.join(allowed)}, in USD")
    for key, value in entry.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or value < 0:
            raise ConfigError(f"{_KEY}: {model}: {key}", value, "give a number of USD, from 0")
    price = Price(**{str(key): float(value) for key, value in entry.items()})
    if price.per_hour is None and not price._by_token:
        raise ConfigError(
            f"{_KEY}: {model}", dict(entry), "per_hour, or per_million_input and so on"
        )
    return price
