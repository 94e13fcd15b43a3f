"""Write the JSON schema of tradespan.yaml, by which editors complete and check the file.

    python tools/schema.py            # write
    python tools/schema.py --check    # fail when the schema is not what the model says

The model is src/tradespan/mapping/config.py. To use it, begin the file with
`# yaml-language-server: $schema=PATH/tradespan.schema.json`.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "src/tradespan/mapping/tradespan.schema.json"
PATH = r"(args|self|result|response|error|env)"
PATTERNS = {  # of the texts, by the function that reads them
    "paths.parse": rf"^\s*({PATH}($|[.\[\s])|[\"'])",
    "rules.parse": rf"^\s*{PATH}($|[.\[\s])",
    "targets.parse": r"^\s*[A-Za-z_][\w.]*:[A-Za-z_].*$",
    "fields._seconds": r"^\s*\d+(\.\d+)?\s*(ms|s|m|h)\s*$",
    "fields._route": r"^(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) /\S*$",
}
HEAD = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "tradespan.yaml",
    "description": "Maps the functions and routes of unchanged services to pipeline stages.",
}


class Written(GenerateJsonSchema):
    """What users write: short forms and texts, where the model has what is read from them."""

    def function_before_schema(
        self, schema: core_schema.BeforeValidatorFunctionSchema
    ) -> JsonSchemaValue:
        """What a validator takes, by its name."""
        function = schema["function"]["function"]
        given = inspect.getclosurevars(function).nonlocals
        reader = given.get("parse", function)
        name = f"{reader.__module__.rpartition('.')[2]}.{reader.__qualname__}"
        if name in PATTERNS:
            return _text(name)
        inner = super().function_before_schema(schema)
        if name == "fields._listed":
            return {"anyOf": [inner["items"], inner]}
        if name == "fields._client":
            from tradespan.mapping.fields import CLIENTS

            return {"enum": list(CLIENTS)}
        if "names" in given:
            return {**inner, "propertyNames": {"enum": sorted(given["names"])}}
        return inner


def _text(reader: str) -> JsonSchemaValue:
    """A text, or a variable of the environment that holds it."""
    return {"type": "string", "pattern": rf"{PATTERNS[reader]}|\$\{{"}


def _close(node: Any) -> None:
    """Where the names of a mapping have a pattern, no others are allowed."""
    if isinstance(node, dict):
        if "patternProperties" in node:
            node["additionalProperties"] = False
        for inner in node.values():
            _close(inner)
    elif isinstance(node, list):
        for inner in node:
            _close(inner)


def schema() -> str:
    """The schema as text."""
    from tradespan.mapping.config import Estate

    found: dict[str, Any] = Estate.model_json_schema(schema_generator=Written)
    calls = found["$defs"]["Service"]["properties"]["calls"]
    target = _text("targets.parse")
    short = [target, {"type": "array", "items": target}]
    calls["additionalProperties"] = {"anyOf": [calls["additionalProperties"], *short]}
    found["patternProperties"] = {"^x-": {}}  # a place for anchors
    _close(found)
    return json.dumps({**found, **HEAD}, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the schema, or say that it is not what the model says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    arguments = parser.parse_args()
    text = schema()
    if not arguments.check:
        SCHEMA.write_text(text)
        return 0
    if SCHEMA.exists() and SCHEMA.read_text() == text:
        return 0
    print(f"error: {SCHEMA.relative_to(ROOT)} is not what the model says", file=sys.stderr)
    print("hint: python tools/schema.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
