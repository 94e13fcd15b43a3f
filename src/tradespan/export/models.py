"""What models used, out of the spans that the official GenAI instrumentations make of their calls.

Vendors' own spans too: the Anthropic SDK traces itself where no instrumentation is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import StatusCode

from tradespan.guard import guard
from tradespan.semconv.attributes import SERVER_ADDRESS, SERVER_PORT

_TOLD = guard("models.span")
_SCOPES: Final = ("opentelemetry.instrumentation.genai.", "com.anthropic.sdk.")


class ModelSpans(SpanProcessor):
    """Tells of each answered call of a model, in the context in which its span ends.

    Arguments:
        told: is given the span's attributes and the URL of the server that answered.
    """

    def __init__(self, told: Callable[[Mapping[str, Any], str], None]) -> None:
        self._told = told

    def on_end(self, span: ReadableSpan) -> None:
        """Tell of it, unless the call failed."""
        with _TOLD:
            scope = span.instrumentation_scope
            if scope is None or not scope.name.startswith(_SCOPES):
                return
            if span.status.status_code is not StatusCode.ERROR:
                attributes = span.attributes or {}
                self._told(attributes, _url(attributes))


def _url(attributes: Mapping[str, Any]) -> str:
    host, port = attributes.get(SERVER_ADDRESS), attributes.get(SERVER_PORT, 443)
    return f"{'https' if port == 443 else 'http'}://{host}:{port}" if host else ""
