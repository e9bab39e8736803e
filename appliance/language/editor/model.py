"""Language models. They are checked and kept; nothing runs them in this version."""

from __future__ import annotations

from appliance.language.editor.fields import (
    Schema,
    flag,
    mapping,
    number,
    resource,
    silent,
    text,
    texts,
    values,
    whole,
)

_PARAMS = mapping(
    "How it answers.",
    {
        "max_tokens": whole("The longest answer.", 0),
        "temperature": number("How freely it chooses words.", 0),
        "stop_words": texts("Words that end an answer."),
        "top_k": whole("Among how many words it chooses.", 0),
        "top_p": number("Among which share of probability it chooses.", 0, 1),
        "seed": whole("Makes answers repeatable.", 0),
        "min_length": whole("The shortest answer.", 0),
        "max_length": whole("The longest text.", 0),
        "repetition_penalty": number("Against repeating itself.", 0),
        "frequency_penalty": number("Against frequent words.", -2, 2),
        "presence_penalty": number("Against words that are there already.", -2, 2),
        "n": whole("Number of answers.", 0),
        "candidate_count": whole("Number of candidates.", 0),
        "metadata": values("Passed on to the provider."),
    },
)
_RATE = mapping(
    "How often it may be asked.",
    {
        "concurrency": whole("Requests at once.", 0),
        "queue_size": whole("Requests that may wait.", 0),
        "requests_per_minute": whole("Requests in a minute.", 0),
        "tokens_per_minute": whole("Tokens in a minute.", 0),
        "request_burst": whole("Requests beyond that for a moment.", 0),
        "token_burst": whole("Tokens beyond that for a moment.", 0),
        "release_slot_before_token_wait": flag("Let others ask while this one waits for tokens."),
    },
)
FIELDS: dict[str, Schema] = {
    "id": text("Its name; without one it is <provider>:<model>."),
    "provider": text("Who runs it, such as openai or ollama."),
    "model": text("Its name at the provider."),
    "api_key": text("Key of the provider, usually {{ .env.NAME }}."),
    "api_url": text("Address of the provider."),
    "organization": text("Organization at the provider."),
    "default": flag("Whether it is used where none is named; one at most."),
    "params": _PARAMS,
    "max_tool_iterations": whole("The most rounds of calling tools.", 0),
    "rate_limit": _RATE,
    "context_window": whole("The longest input, in tokens.", 0),
}
MODEL = mapping(
    "A language model.",
    {
        **FIELDS,
        **resource("model"),
        **silent("author", "CWD", "cwd", "file_path"),
    },
    "provider",
    "model",
)
