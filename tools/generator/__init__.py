"""From the registry to code and pages; see tools/generate.py."""
