"""Where the files that travel with the package are: one copy in git, the same copy in the wheel."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def path(name: str) -> Path:
    """The path of `otel-collector.yaml`, `collector` or `examples`.

    Arguments:
        name: path below the project's root.

    Raises:
        FileNotFoundError: the installation does not carry it.
    """
    for root in (_HERE / "bundle", _HERE.parents[1]):
        if (root / name).exists():
            return root / name
    raise FileNotFoundError(f"{name} is not in this installation of tradespan; reinstall it")
