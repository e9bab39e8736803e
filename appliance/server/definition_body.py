"""A definition as the body of a request: YAML, or JSON, which is kept as it was sent where it can be."""

from __future__ import annotations

import asyncio

from litestar.exceptions import HTTPException

from appliance.errors import InvalidInput
from appliance.language import canonical, yaml
from appliance.language.problems import InvalidDocument
from appliance.server.request import ApiRequest

DEFINITION = ("application/yaml", "application/json")
_YAML = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"})


async def text_of(request: ApiRequest) -> str:
    """Return the body as YAML. Raises InvalidInput, and 415 for a body that is of another kind."""
    kind = (request.headers.get("content-type") or "application/json").partition(";")[0]
    kind = kind.strip().lower()
    if kind not in _YAML and kind != "application/json" and not kind.endswith("+json"):
        detail = f"The body is {kind}; send {' or '.join(DEFINITION)}."
        headers = {"accept": ", ".join(DEFINITION)}
        raise HTTPException(detail, status_code=415, headers=headers)
    body = await request.body()
    if kind not in _YAML:
        value = await request.parse(body)
        return await asyncio.to_thread(_as_yaml, body.decode(), value)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The body is not UTF-8 (byte {error.start}).") from None


def _as_yaml(text: str, value: object) -> str:
    """Return the JSON *text* where it means *value* as YAML too; else *value* written as YAML."""
    try:
        same = repr(yaml.load(text, "the body").data) == repr(value)
    except InvalidDocument:
        same = False
    return text if same else canonical.to_yaml(value)
