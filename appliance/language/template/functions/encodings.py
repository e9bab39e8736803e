"""Text for other machines: JSON, base 64 and 32, hashes, identifiers, escapes and addresses."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import uuid
import zlib
from typing import Any
from urllib.parse import quote_plus, urlsplit, urlunsplit

from appliance.language.template.errors import Fault
from appliance.language.template.functions.dicts import Own
from appliance.language.template.functions.signature import (
    Function,
    anything,
    finite,
    lookup,
    number,
    row,
    scanned,
    text,
    with_must,
)
from appliance.language.template.limits import Run
from appliance.language.template.printing import sprint
from appliance.language.template.values import plain, show, without_halves

_UNSAFE_IN_HTML = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})
_UNSAFE_IN_SCRIPT = re.compile(r"[\\'\"<>&=]|[^\x20-\x7e]")
_SCRIPT_ESCAPES = {"\\": "\\\\", "'": "\\'", '"': '\\"'}

_CHAR = 6
"""Units of a character of JSON: it is a value of its own every few characters."""


def _encoder(*, safe: bool = True, indent: int | None = None) -> Function:
    encoder = json.JSONEncoder(
        ensure_ascii=False,
        allow_nan=False,
        sort_keys=True,
        indent=indent,
        separators=(",", ": " if indent else ":"),
    )

    def encode(run: Run, value: Any) -> str:
        parts = []
        copied = plain(value, run)
        for part in encoder.iterencode(copied) if indent else [encoder.encode(copied)]:
            run.build(len(part))
            run.spend(_CHAR * len(part))
            parts.append(part)
        encoded = "".join(parts)
        return encoded.translate(_UNSAFE_IN_HTML) if safe else encoded

    return row(encode, anything, run=True)


def _refuse(_constant: str) -> None:
    raise ValueError


_decoder = json.JSONDecoder(
    object_hook=Own, parse_float=lambda digits: finite(float(digits)), parse_constant=_refuse
)


def _json_text(run: Run, value: Any) -> str:
    """Accept text that will be read as JSON."""
    run.spend(_CHAR * len(text(run, value)))
    return str(value)


def _decode(source: str) -> Any:
    try:
        return _decoder.decode(without_halves(source))
    except (ValueError, RecursionError):
        raise Fault("the text is not JSON") from None


def _decode_or_empty(source: str) -> Any:
    try:
        return _decode(source)
    except Fault:
        return ""


def _from_base(decode: Any) -> Function:
    def decoded(source: str) -> str:
        try:
            return str(decode(source.encode()), "utf-8")
        except ValueError:
            raise Fault("the text is not an encoding of UTF-8 text") from None

    return row(decoded, scanned)


def _hash(name: str) -> Function:
    return row(lambda s: hashlib.new(name, s.encode(), usedforsecurity=False).hexdigest(), text)


def _uuid(run: Run) -> str:
    return str(uuid.UUID(int=run.environment.random.getrandbits(128), version=4))


def _random_bytes(run: Run, count: int) -> str:
    run.build(max(count, 0) * 2)
    return base64.b64encode(run.environment.random.randbytes(max(count, 0))).decode()


def _html(source: str) -> str:
    escaped = html.escape(source, quote=False).replace("\0", "\ufffd")
    return escaped.replace('"', "&#34;").replace("'", "&#39;")


def _script(source: str) -> str:
    def escape(found: re.Match[str]) -> str:
        char = found[0]
        if char in _SCRIPT_ESCAPES or (ord(char) > 0x7F and char.isprintable()):
            return _SCRIPT_ESCAPES.get(char, char)
        return f"\\u{ord(char):04X}"

    return _UNSAFE_IN_SCRIPT.sub(escape, source)


def _printed(escape: Any) -> Function:
    def escaped(run: Run, *values: Any) -> str:
        return str(escape(scanned(run, sprint(run, *values))))

    return row(escaped, rest=anything, run=True)


def _parse_url(address: str) -> Own:
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    names = {"userinfo": user, "host": host, "hostname": parts.hostname or "", "opaque": ""}
    return Own(
        names | {name: getattr(parts, name) for name in ("scheme", "path", "query", "fragment")}
    )


def _join_url(run: Run, parts: Any) -> str:
    names = ("scheme", "host", "path", "query", "fragment", "userinfo")
    *values, user = (show(parts.get(name) or "", run) for name in names)
    values[1] = f"{user}@{values[1]}" if user else values[1]
    return urlunsplit(values)


_HTML, _SCRIPT = _printed(_html), _printed(_script)
_JSON = {
    "toJson": _encoder(),
    "toRawJson": _encoder(safe=False),
    "toPrettyJson": _encoder(indent=2),
}
TABLE = {
    **with_must(_JSON),
    "fromJson": row(_decode_or_empty, _json_text),
    "mustFromJson": row(_decode, _json_text),
    "b64enc": row(lambda s: base64.b64encode(s.encode()).decode(), text),
    "b64dec": _from_base(lambda data: base64.b64decode(data, validate=True)),
    "b32enc": row(lambda s: base64.b32encode(s.encode()).decode(), scanned),
    "b32dec": _from_base(base64.b32decode),
    "sha1sum": _hash("sha1"),
    "sha256sum": _hash("sha256"),
    "sha512sum": _hash("sha512"),
    "adler32sum": row(lambda s: str(zlib.adler32(s.encode())), text),
    "uuidv4": row(_uuid, run=True),
    "randBytes": row(_random_bytes, number, run=True),
    "html": _HTML,
    "htmlEscape": _HTML,
    "htmlAttrEscape": _HTML,
    "js": _SCRIPT,
    "jsEscape": _SCRIPT,
    "urlquery": _printed(lambda s: quote_plus(s, safe="~")),
    "urlParse": row(_parse_url, text),
    "urlJoin": row(_join_url, lookup, run=True),
}
