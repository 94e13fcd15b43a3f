"""What the tests of whole processes share, whichever folder they are in."""
