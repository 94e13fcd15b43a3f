"""Write the code, the reference page and the catalogue that follow from the registry.

    python tools/generate.py            # write
    python tools/generate.py --check    # fail when a file is not what the registry says

The registry is src/tradespan/semconv/registry/*.yaml. Standard library and PyYAML only, so that it
runs before the package can be imported. The parts are in tools/generator: the strict model, the
rules, the names in Prometheus, and what is written.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from generator import attributes, metrics, pages, stages
from generator.model import Registry, RegistryError
from generator.read import read
from generator.rules import check

ROOT = Path(__file__).resolve().parents[1]
SEMCONV = Path("src/tradespan/semconv")
REGISTRY = ROOT / SEMCONV / "registry"


def outputs(registry: Registry) -> dict[Path, str]:
    """Every generated file, by its path from the root of the repository."""
    modules = metrics.modules(registry)
    return {
        SEMCONV / "attributes.py": attributes.module(registry),
        SEMCONV / "stages.py": stages.module(registry),
        **{SEMCONV / "metrics" / name: text for name, text in modules.items()},
        SEMCONV / "catalogue.json": pages.catalogue(registry),
        Path("docs/reference/metrics.md"): pages.reference(registry),
    }


def left_over(root: Path, files: dict[Path, str]) -> list[Path]:
    """Generated modules of registry files that are no more."""
    found = (root / SEMCONV / "metrics").glob("*.py")
    return [path for path in sorted(found) if path.relative_to(root) not in files]


def main(arguments: list[str] | None = None, root: Path = ROOT, registry: Path = REGISTRY) -> int:
    """Write or check every generated file; the exit status is 1 when one is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail when stale")
    checking = parser.parse_args(arguments).check
    try:
        files = outputs(check(read(registry)))
    except RegistryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    present = {p: (root / p).read_text() for p in files if (root / p).exists()}
    stale = [path for path, text in files.items() if present.get(path) != text]
    extra = left_over(root, files)
    if checking:
        for path in [*stale, *extra]:
            print(f"error: {path} is not what the registry says", file=sys.stderr)
            print("hint: run python tools/generate.py and commit the result", file=sys.stderr)
        return 1 if stale or extra else 0
    for path in stale:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(files[path])
        print(f"wrote {path}")
    for path in extra:
        path.unlink()
        print(f"removed {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
