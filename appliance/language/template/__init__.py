"""Templates in the syntax of Go's `text/template` with sprig's functions; see docs/templates.md.

Rendering is pure: the clock and the dice come in the `Environment`, values are only read.
"""

from __future__ import annotations

from appliance.language.template.errors import TemplateError
from appliance.language.template.limits import Environment
from appliance.language.template.template import Template, compile_text
from appliance.language.template.tree import Value, compile_value

__all__ = [
    "Environment",
    "Template",
    "TemplateError",
    "Value",
    "compile_text",
    "compile_value",
]
