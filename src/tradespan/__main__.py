"""`python -m tradespan` is the same as the command `tradespan`."""

import sys

from tradespan.cli import main

if __name__ == "__main__":
    sys.exit(main())
