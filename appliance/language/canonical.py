"""Data as text: YAML that our own reader reads back as the same data, and the hash of what it says."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from typing import Any

import msgspec

from appliance.language import yaml as reader
from appliance.language.model import Json


def to_yaml(value: Json) -> str:
    """Return *value* as YAML, in the order of its keys; texts of several lines stay readable."""
    import yaml

    text: str = yaml.dump(
        value, Dumper=_dumper(), allow_unicode=True, sort_keys=False, width=100, indent=2
    )
    return text


def digest(value: Json) -> str:
    """Return the SHA-256 of what *value* says, whatever the order of its keys."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


@cache
def _dumper() -> Any:
    import yaml

    class Dumper(yaml.CSafeDumper):
        """Quotes what our reader, which knows YAML 1.2, would not read as text."""

        def ignore_aliases(self, _data: Any) -> bool:
            return True

        def represent_text(self, data: str) -> Any:
            style = "|" if "\n" in data else None
            return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Dumper.add_representer(str, Dumper.represent_text)
    for tag, pattern in (("int", reader.INTEGER), ("float", reader.FLOAT)):
        whole = re.compile(f"(?:{pattern.pattern})$")
        Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", whole, list("-+.0123456789"))
    return Dumper
