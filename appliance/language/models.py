"""Language models as files declare them."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.language.sections import Section
from appliance.language.shapes import Shape, mapping, needed, number, whole

_PARAMS: Shape = {
    "max_tokens": whole(0),
    "temperature": number(0),
    "stop_words": Section.texts,
    "top_k": whole(0),
    "top_p": number(0, 1),
    "seed": whole(0),
    "min_length": whole(0),
    "max_length": whole(0),
    "repetition_penalty": number(0),
    "frequency_penalty": number(-2, 2),
    "presence_penalty": number(-2, 2),
    "n": whole(0),
    "candidate_count": whole(0),
    "metadata": Section.values,
}
_RATE: Shape = {
    "concurrency": whole(0),
    "queue_size": whole(0),
    "requests_per_minute": whole(0),
    "tokens_per_minute": whole(0),
    "request_burst": whole(0),
    "token_burst": whole(0),
    "release_slot_before_token_wait": Section.flag,
}
MODEL: Shape = {
    "id": Section.text,
    "provider": needed(Section.text),
    "model": needed(Section.text),
    "api_key": Section.text,
    "api_url": Section.text,
    "organization": Section.text,
    "default": Section.flag,
    "params": mapping(_PARAMS),
    "max_tool_iterations": whole(0),
    "rate_limit": mapping(_RATE),
    "context_window": whole(0),
}


def check_default(models: Iterable[Section]) -> None:
    """Check that at most one of the models is the default."""
    defaults = [section for section in models if section.raw("default") is True]
    for section in defaults[1:]:
        section.error("another model is the default already", "default")
