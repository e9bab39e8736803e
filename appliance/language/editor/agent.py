"""Agents. They are checked and kept; nothing runs them in this version."""

from __future__ import annotations

from appliance.language.editor.fields import (
    Schema,
    choice,
    data,
    each,
    either,
    mapping,
    needed_text,
    refer,
    resource,
    schema,
    selected,
    silent,
    strings,
    text,
    texts,
    values,
    whole,
)
from appliance.language.editor.model import FIELDS

_ATTACHMENT = mapping(
    "Something beside the text.",
    {
        "type": choice("What it is.", "image", "audio", "video", "pdf", "url", "file"),
        "url": text("Its address."),
        "path": text("Its file."),
        "urls": texts("Their addresses."),
        "paths": texts("Their files."),
        "name": text("Its name."),
        "mime": text("Its media type."),
        "meta": values("Further data."),
        "max_pages": whole("The most pages to read.", 1),
    },
    "type",
)
_ATTACHMENTS = each("What is given beside the text.", _ATTACHMENT)
_ACTION = mapping(
    "Something that the agent can be asked to do.",
    {
        "id": needed_text("Name of the action."),
        "prompt": needed_text("What to ask."),
        "input": schema("What it is given."),
        "output": schema("What it answers."),
        "with": values("Defaults of its input."),
        "attachments": _ATTACHMENTS,
    },
    "id",
    "prompt",
)
_USED_MEMORY: dict[str, Schema] = {
    "mode": data("read-write or read-only."),
    "key": data("Which list of messages."),
}

AGENT = mapping(
    "A language model with instructions, actions and tools.",
    {
        "id": needed_text("What tasks call it."),
        **resource("agent"),
        "instructions": needed_text("What it is and how it behaves."),
        "model": either("A model by name, or described here.", mapping("A model.", FIELDS)),
        "actions": each("What it can be asked to do.", _ACTION),
        "tools": each("Tools that it may call.", selected("A tool.", "tool")),
        "mcps": each("MCP servers that it may use.", selected("A server.", "server")),
        "max_iterations": whole("The most rounds.", 1),
        "memory": each("Memories.", selected("A memory.", "memory", _USED_MEMORY)),
        "with": values("Data that its instructions may use."),
        "env": strings("Variables of its tools."),
        "knowledge": refer("binding", "What it may look up."),
        "attachments": _ATTACHMENTS,
        **silent("author", "CWD", "cwd", "file_path"),
    },
    "id",
    "instructions",
)
