"""What a command found, for programs: JSON or YAML."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Any

import msgspec


class Structure(StrEnum):
    json = "json"
    yaml = "yaml"


def print_structured(value: Any, structure: str) -> None:
    """`value`: msgspec structs, or what JSON has."""
    plain = msgspec.to_builtins(value)
    if structure == Structure.json:
        print(json.dumps(plain, indent=1, ensure_ascii=True))
        return
    import yaml

    yaml.safe_dump(plain, sys.stdout, sort_keys=False, allow_unicode=False, width=120)
