"""GET a JSON answer from a backend, or say clearly what, where and what to do."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, TypeVar

from tradespan.backends.protocol import BackendError

Answer = TypeVar("Answer")

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_WRONG_PROGRAM = "is this address really that program, in a supported version?"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One backend's query API.

    Attributes:
        name: as the reader knows it, `Prometheus`.
        address: base address.
        timeout_s: seconds that one request may take.
    """

    name: str
    address: str
    timeout_s: float

    def get(
        self, path: str, parameters: Mapping[str, str], read: Callable[[Any], Answer]
    ) -> Answer:
        """What `read` makes of the JSON answer to one GET request.

        A proxy is never asked for a loopback address.

        Raises:
            BackendError: no answer, an error, no JSON, or JSON that `read` cannot read.
        """
        url = self.address.rstrip("/") + path
        found = self._json(url, parameters)
        try:
            return read(found)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            what = f"answered, but not what was asked for ({type(error).__name__}: {error})"
            raise self._failed(what, url, _WRONG_PROGRAM) from None

    def _json(self, url: str, parameters: Mapping[str, str]) -> Any:
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        try:
            with self._opener().open(url + query, timeout=self.timeout_s) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            said = error.read(500).decode(errors="replace").strip()
            raise self._failed(f"answered {error.code}: {said}", url, _WRONG_PROGRAM) from None
        except json.JSONDecodeError:
            what = "answered something that is not JSON"
            raise self._failed(what, url, _WRONG_PROGRAM) from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            hint = "is it running? `tradespan lab status` shows, `tradespan lab up` starts it"
            raise self._failed(f"does not answer: {reason}", url, hint) from None

    def _opener(self) -> urllib.request.OpenerDirector:
        if urllib.parse.urlsplit(self.address).hostname in _LOOPBACK:
            return urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return urllib.request.build_opener()

    def _failed(self, what: str, url: str, hint: str) -> BackendError:
        return BackendError(f"{self.name} {what}", where=url, hint=hint)
