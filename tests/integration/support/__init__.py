"""What the tests of whole processes share: a collector in memory, and services to start."""
