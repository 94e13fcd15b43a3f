"""One-time codes by the clock, as in RFC 6238: six digits that are new every half minute."""

import base64
import hashlib
import hmac
import struct
import time

STEP = 30  # seconds


def code(secret: str, steps_ago: int = 0) -> str:
    """The code of a secret (base32) at this time, or some steps before."""
    counter = struct.pack(">Q", int(time.time() // STEP) - steps_ago)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    start = digest[-1] & 15
    number: int = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"
