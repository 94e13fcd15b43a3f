"""Where telemetry is read back from: the embedded backend, or Prometheus, Jaeger and Loki."""

from tradespan.backends.protocol import Attributes, Backend, BackendError, LogLine, Span

__all__ = ["Attributes", "Backend", "BackendError", "LogLine", "Span"]
