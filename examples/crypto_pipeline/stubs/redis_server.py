"""The embedded Redis: fakeredis' TCP server, for machines without a real one.

It keeps everything in memory, and XREADGROUP with COUNT and BLOCK answers at once.
"""

from __future__ import annotations

import os
import signal

from fakeredis import TcpFakeServer


def main() -> None:
    server = TcpFakeServer(("127.0.0.1", int(os.environ.get("PORT", "6379"))))
    # Its threads wait for their clients to hang up; a server without a disk need not.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server.serve_forever()


if __name__ == "__main__":
    main()
