"""Loading a project: a directory with compozy.yaml, one workflow file, or the built-in sample.

Everything is checked before anything runs, and every problem is told at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from appliance.config import registry
from appliance.language import later
from appliance.language.catalog import Catalog
from appliance.language.definitions import LISTS, check_binding
from appliance.language.model import Project, Runtime
from appliance.language.offers import Offer
from appliance.language.options import read_options
from appliance.language.problems import texts
from appliance.language.runtimes import read_functions, read_runtime, refusal
from appliance.language.sections import Section
from appliance.language.selectors import Known
from appliance.language.shapes import Shape, each, read_shape
from appliance.language.sources import PROJECT_FILE, Entry, Resource, Sources

SAMPLE = Path(__file__).parent.parent / "sample"

_PERSON: Shape = dict.fromkeys(("name", "email", "url", "organization"), Section.text)
_AUTHOR: Shape = {**_PERSON, "contributors": each(_PERSON)}


def load_project(
    path: Path | None,
    env: Mapping[str, str],
    resources: Iterable[Resource] = (),
    *,
    native_tools: bool = True,
) -> Project:
    """Load the project at *path*: a directory, one workflow file, or None for the sample.

    *env* is what `.env.X` means in a template; nothing else of the environment can be seen there.
    *resources* are further definitions, stored through the API; their problems name the file
    `api:<kind>/<id>`. Where a file defines the same, `config.source_of_truth` says who wins: with
    `repo` the file, and the other one is an error; with `builder` the one from the API.
    *native_tools* is whether the tools that are built in can be called.

    Raises: InvalidProject, its `details["problems"]` being every problem as file:line:col: message.
    """
    place = SAMPLE if path is None else path.absolute()
    if place.name == PROJECT_FILE:
        place = place.parent
    sources = Sources(place if place.is_dir() else place.parent)
    stored = list(sources.of_api(resources))
    offer = Offer(native_tools=native_tools)
    if place.is_dir():
        project = _directory_project(sources, stored, offer)
    else:
        project = _file_project(sources, place.name, stored, offer)
    sources.problems.raise_errors()
    assert project is not None
    warnings = tuple(texts(sources.problems.warnings))
    return msgspec.structs.replace(project, env=dict(env), warnings=warnings)


def _file_project(sources: Sources, name: str, stored: list[Entry], offer: Offer) -> Project | None:
    """Read one workflow file as a project of its own, which has the id of the workflow as its name."""
    section = sources.open(name)
    if section is None:
        return None
    runtime = read_runtime(None, sources.directory)
    catalog = Catalog(sources, [Entry("workflow", section, sources.problems), *stored])
    fields = catalog.read(_with_runtime(offer, sources, runtime))
    directory = str(sources.directory)
    return Project(name=section.text("id"), directory=directory, runtime=runtime, **fields)


def _directory_project(sources: Sources, stored: list[Entry], offer: Offer) -> Project | None:
    """Read compozy.yaml and what it names, finds and defines."""
    section = sources.open(PROJECT_FILE)
    if section is None:
        return None
    runtime = read_runtime(section.section("runtime"), sources.directory)
    config = section.section("config")
    options = read_options(config, "source_of_truth")
    truth = config.choice("source_of_truth", ("repo", "builder"), "repo") if config else "repo"
    entries = [*sources.of_project(section), *stored]
    catalog = Catalog(sources, entries, builder=truth == "builder")
    fields = catalog.read(_with_runtime(offer._replace(options=options), sources, runtime))
    if not fields["workflows"]:
        section.warn("the project has no workflow")
    project = Project(
        name=section.needed_text("name"),
        directory=str(sources.directory),
        version=section.text("version"),
        description=section.text("description"),
        runtime=runtime,
        source_of_truth="builder" if truth == "builder" else "repo",
        **fields,
    )
    _finish(section, catalog.known)
    return project


def _with_runtime(offer: Offer, sources: Sources, runtime: Runtime) -> Offer:
    entrypoint = sources.shown(Path(runtime.entrypoint or ""))
    return offer._replace(
        functions=read_functions(runtime, entrypoint, sources.problems),
        entrypoint=entrypoint,
        refusal=refusal(runtime),
    )


def _finish(section: Section, known: Known) -> None:
    """Check the rest of compozy.yaml; `knowledge` is a list of the project's, or configuration."""
    read_shape(section.section("author"), _AUTHOR)
    if isinstance(section.raw("knowledge"), list):
        check_binding(section, known)
        section.warn(later.not_available("a knowledge binding"), "knowledge")
    for key in LISTS.keys() & section.keys - {"vector_dbs"}:
        section.warn(later.not_available(key), key)
    section.finish(("CWD", "monitoring", *registry.SECTIONS))
