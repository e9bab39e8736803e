"""MCP servers. They are checked and kept; nothing runs them in this version."""

from __future__ import annotations

from appliance.language.editor.fields import (
    choice,
    duration,
    mapping,
    needed_text,
    resource,
    silent,
    strings,
    text,
    texts,
    whole,
)

MCP = mapping(
    "A server of tools that speaks MCP; it has a url or a command.",
    {
        "id": needed_text("What agents call it."),
        **resource("mcp"),
        "url": text("Its address."),
        "command": text("The program that is it."),
        "args": texts("Arguments of the program."),
        "env": strings("Variables of the program."),
        "headers": strings("Headers of every request."),
        "proto": text("Version of the protocol, such as 2025-03-26."),
        "transport": choice("How it is spoken to.", "stdio", "sse", "streamable-http"),
        "start_timeout": duration("The longest it may take to start."),
        "max_sessions": whole("Sessions at once; 0 is no bound.", 0),
        **silent("author", "CWD", "cwd", "file_path"),
    },
    "id",
    anyOf=[{"required": ["url"]}, {"required": ["command"]}],
)
