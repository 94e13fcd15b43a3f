"""Trace and span ids that `random.seed()` in a strategy cannot make repeat themselves."""

from __future__ import annotations

from random import SystemRandom

from opentelemetry.sdk.trace.id_generator import IdGenerator

_random = SystemRandom()


class SystemIdGenerator(IdGenerator):
    """Ids from the operating system's randomness."""

    def generate_span_id(self) -> int:
        """A span id, never 0."""
        return _random.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        """A trace id, never 0."""
        return _random.getrandbits(128) or 1

    def is_trace_id_random(self) -> bool:
        """True: the sampler may trust the low 56 bits (W3C random flag)."""
        return True
