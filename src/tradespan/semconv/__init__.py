"""The one truth of every attribute, metric and stage.

`registry/*.yaml` is written by hand; `attributes.py`, `metrics.py` and `stages.py` are generated
from it by `tools/generate.py`, as is docs/reference/metrics.md.
"""
