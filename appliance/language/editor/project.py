"""compozy.yaml: the project, and the configuration of the program in the same file."""

from __future__ import annotations

from appliance.language.editor.fields import (
    Schema,
    choice,
    each,
    either,
    flag,
    idle,
    mapping,
    needed_text,
    refer,
    reference,
    text,
    texts,
)
from appliance.language.editor.options import OPTIONS
from appliance.language.editor.settings import SILENT, sections
from appliance.language.editor.workflow import DEFINED

_PERSON: dict[str, Schema] = {
    "name": text("Name."),
    "email": text("Address of mail."),
    "url": text("Address of a page."),
    "organization": text("Organization."),
}
_AUTHOR = mapping(
    "Who wrote it, for people.",
    {**_PERSON, "contributors": each("Who helped.", mapping("A person.", _PERSON))},
)
_SOURCE = mapping(
    "A workflow file.", {"source": needed_text("Its path from the project.")}, "source"
)
_AUTOLOAD = mapping(
    "Patterns that find files, so that nobody has to list them.",
    {
        "enabled": flag("Whether files are looked for.", default=False),
        "strict": flag("Whether a bad file refuses the project.", default=True),
        "include": texts("Patterns of files, such as workflows/**/*.yaml."),
        "exclude": texts("Patterns of files to leave out."),
        "watch_enabled": flag("Whether to look again when files change."),
    },
)
_PLACES = each("Vector databases, as Compozy had them here.", reference("data"))
_RUNTIME: dict[str, Schema] = {
    "type": choice("The language of the tools.", "python", "bun", "node", default="python"),
    "entrypoint": text("The file whose functions are the tools.", default="./tools.py"),
    "permissions": idle(texts("What tools may do.")),
}


def project() -> Schema:
    """Return the schema of compozy.yaml."""
    settings = sections()
    settings["runtime"]["properties"] |= _RUNTIME
    settings["runtime"]["description"] = "Where tools come from and how they are run."
    configured = settings.pop("knowledge")
    fields: dict[str, Schema] = {
        "name": needed_text("Name of the project."),
        "version": text("Its version, for people."),
        "description": text("What it does, for people."),
        "author": _AUTHOR,
        "workflows": each("Workflow files.", _SOURCE),
        "autoload": _AUTOLOAD,
        "config": mapping(
            "Options for all tasks.",
            {
                **OPTIONS,
                "source_of_truth": choice(
                    "Who wins where a file and the API define the same: the file, or the API.",
                    "repo",
                    "builder",
                    default="repo",
                ),
            },
        ),
        **DEFINED,
        "memories": each("Memories.", reference("memory")),
        "models": each("Language models; they are kept and not run.", reference("model")),
        "embedders": each("Embedders; they are kept and not run.", reference("embedder")),
        "vector_dbs": each("Vector databases; kept and not run.", reference("vector_db")),
        "knowledge": either(
            "A binding to a knowledge base as a list, or settings as a mapping.",
            {**configured, "properties": {**configured["properties"], "vector_dbs": _PLACES}},
            refer("binding", "What agents may look up; kept and not run."),
        ),
        **settings,
        **SILENT,
    }
    return mapping("A project.", fields, "name")
