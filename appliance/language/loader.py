"""Loading a project: a directory with compozy.yaml, one workflow file, or the built-in sample.

Everything is checked before anything runs, and every problem is told at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from appliance.config import registry
from appliance.errors import InvalidInput
from appliance.language import later, yaml
from appliance.language.autoload import find_files
from appliance.language.model import Json, Project, Runtime, Workflow
from appliance.language.options import read_options
from appliance.language.problems import InvalidDocument, Problem, Problems, texts
from appliance.language.sections import Section
from appliance.language.workflows import Offer, read_schemas, read_tools, read_workflow

if TYPE_CHECKING:
    from appliance.tools.introspect import Signature

PROJECT_FILE = "compozy.yaml"
SAMPLE = Path(__file__).parent.parent / "sample"

_SILENT = ("author", "CWD", "monitoring")
_KINDS = ("workflow", "tool", "schema", *sorted(later.RESOURCES))


def load_project(path: Path | None, env: Mapping[str, str]) -> Project:
    """Load the project at *path*: a directory, one workflow file, or None for the sample.

    *env* is what `.env.X` means in a template; nothing else of the environment can be seen there.

    Raises: InvalidProject, its `details["problems"]` being every problem as file:line:col: message.
    """
    place = SAMPLE if path is None else path.absolute()
    if place.name == PROJECT_FILE:
        place = place.parent
    loader = _Loader(place if place.is_dir() else place.parent)
    project = loader.directory_project() if place.is_dir() else loader.file_project(place.name)
    loader.problems.raise_errors()
    assert project is not None
    warnings = tuple(texts(loader.problems.warnings))
    return msgspec.structs.replace(project, env=dict(env), warnings=warnings)


class _Found(NamedTuple):
    """An autoloaded file. Its problems are its own until it is known whether they count."""

    kind: str
    section: Section
    problems: Problems


class _Loader:
    """Reads the files of one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.problems = Problems()
        self._workflows: dict[str, Workflow] = {}
        self._seen: set[Path] = set()
        self._strict = True

    def file_project(self, name: str) -> Project | None:
        """Read one workflow file as a project of its own."""
        runtime = self._runtime(None)
        section = self._open(name, self.problems)
        if section is not None:
            self._add(section, self._offer(Offer(), runtime))
        for workflow in self._workflows.values():
            return self._project(workflow.id, runtime)
        return None

    def directory_project(self) -> Project | None:
        """Read compozy.yaml and the files that it names."""
        section = self._open(PROJECT_FILE, self.problems)
        if section is None:
            return None
        runtime = self._runtime(section.section("runtime"))
        named = list(self._sources(section))
        autoload = section.section("autoload")
        loaded = list(self._autoload(autoload)) if autoload else []
        offer = self._offer(self._definitions(section, loaded), runtime)
        for file in named:
            workflow = self._open(self._shown(file), self.problems)
            if workflow is not None:
                self._add(workflow, offer)
        for found in loaded:
            self._settle(found, offer)
        if not self._workflows:
            section.warn("the project has no workflow")
        details = {key: section.text(key) for key in ("version", "description")}
        vector_dbs = section.value("vector_dbs") or []
        project = self._project(section.needed_text("name"), runtime)
        _finish(section)
        return msgspec.structs.replace(project, vector_dbs=tuple(vector_dbs), **details)

    def _project(self, name: str, runtime: Runtime) -> Project:
        directory = str(self.directory)
        return Project(name=name, directory=directory, workflows=self._workflows, runtime=runtime)

    def _open(self, name: str, problems: Problems) -> Section | None:
        try:
            return Section.of(yaml.read(self.directory / name, name), problems)
        except InvalidDocument as error:
            problems.add(error.problem)
            return None

    # -- what workflows share -------------------------------------------------------------------

    def _definitions(self, section: Section, loaded: list[_Found]) -> Offer:
        by_kind: dict[str, list[Section]] = {"schema": [], "tool": []}
        for found in loaded:
            by_kind.setdefault(found.kind, []).append(found.section)
        config = section.section("config")
        schemas = read_schemas([*section.sections("schemas"), *by_kind["schema"]])
        tools = read_tools([*section.sections("tools"), *by_kind["tool"]], schemas)
        return Offer(read_options(config, "source_of_truth"), schemas, tools)

    def _runtime(self, section: Section | None) -> Runtime:
        if section is None:
            return self._default_runtime()
        entrypoint = section.text("entrypoint")
        script = entrypoint.endswith((".ts", ".js"))
        kind = section.choice("type", ("python", *later.RUNTIMES), "bun" if script else "python")
        runtime = self._default_runtime()
        if kind in later.RUNTIMES:
            runtime = Runtime(type=kind)  # type: ignore[arg-type]  # one of RUNTIMES
        elif entrypoint and not entrypoint.endswith(".py"):
            section.error(f"the entrypoint {entrypoint!r} must be a .py file", "entrypoint")
        elif entrypoint and not (self.directory / entrypoint).is_file():
            section.error(f"there is no file {entrypoint!r}", "entrypoint")
        elif entrypoint:
            runtime = Runtime(entrypoint=str((self.directory / entrypoint).absolute()))
        return runtime

    def _default_runtime(self) -> Runtime:
        file = self.directory / "tools.py"
        return Runtime(entrypoint=str(file) if file.is_file() else None)

    def _offer(self, offer: Offer, runtime: Runtime) -> Offer:
        if runtime.type in later.RUNTIMES:
            what = later.not_available(f"the runtime {runtime.type}")
            return offer._replace(refusal=f"{what}; write the tools in Python")
        if runtime.entrypoint is None:
            refusal = (
                "the project has no tools: write them in tools.py, or name 'runtime.entrypoint'"
            )
            return offer._replace(refusal=refusal)
        entrypoint = Path(runtime.entrypoint)
        name = self._shown(entrypoint)
        return offer._replace(entrypoint=name, functions=self._functions(entrypoint, name))

    def _functions(self, entrypoint: Path, name: str) -> dict[str, Signature] | None:
        from appliance.tools import introspect

        try:
            return introspect.functions(entrypoint)
        except InvalidInput as error:
            line, column = error.details.get("line", 0), error.details.get("column", 0)
            message = error.message.removeprefix(f"{entrypoint}:").removeprefix(f"{line}:{column}:")
            self.problems.add(Problem(name, line, column, message.strip()))
            return None

    def _shown(self, file: Path) -> str:
        return (
            str(file.relative_to(self.directory))
            if file.is_relative_to(self.directory)
            else str(file)
        )

    # -- workflows ------------------------------------------------------------------------------

    def _sources(self, section: Section) -> Iterator[Path]:
        for entry in section.sections("workflows"):
            source = entry.needed_text("source")
            entry.finish(())
            file = self.directory / source
            if source and not file.is_file():
                entry.error(f"there is no file {source!r}", "source")
            elif source and not self._take(file):
                entry.error(f"the file {source!r} is named twice", "source")
            elif source:
                yield file

    def _take(self, file: Path) -> bool:
        """Whether *file* is met for the first time."""
        first = (known := file.resolve()) not in self._seen
        self._seen.add(known)
        return first

    def _add(self, section: Section, offer: Offer) -> None:
        workflow = read_workflow(section, offer)
        if workflow is None:
            return
        if workflow.id in self._workflows:
            section.error(f"another workflow has the id {workflow.id!r} too", "id")
        self._workflows.setdefault(workflow.id, workflow)

    # -- autoload -------------------------------------------------------------------------------

    def _autoload(self, section: Section) -> Iterator[_Found]:
        self._strict = section.flag("strict") if section.has("strict") else True
        for file in find_files(section, self.directory):
            if file.name == PROJECT_FILE or not self._take(file):
                continue
            problems = Problems()
            found = self._open_found(file, problems)
            if found is not None and found.needed_text("resource"):
                kind = found.choice("resource", _KINDS, "")
                yield _Found(kind, found, problems)
            else:
                self._judge(problems)

    def _open_found(self, file: Path, problems: Problems) -> Section | None:
        if file.resolve().is_relative_to(self.directory.resolve()):
            return self._open(self._shown(file), problems)
        problems.add(Problem(self._shown(file), 0, 0, "this link leads out of the project"))
        return None

    def _settle(self, found: _Found, offer: Offer) -> None:
        if found.kind in later.RESOURCES:
            found.section.warn(
                later.not_available(f"a file with resource {found.kind}"), "resource"
            )
        elif found.kind == "workflow":
            known = dict(self._workflows)
            self._add(found.section, offer)
            if found.problems.errors and not self._strict:
                self._workflows = known
        self._judge(found.problems)

    def _judge(self, problems: Problems) -> None:
        if self._strict:
            self.problems.include(problems)
        else:
            self.problems.forgive(problems)


def _finish(section: Section) -> None:
    knowledge: Json = section.raw("knowledge")
    for key in later.DEFINITIONS & section.keys - {"knowledge"}:
        section.warn(later.not_available(key), key)
    if isinstance(knowledge, list):
        section.warn(later.not_available("a knowledge binding"), "knowledge")
    section.finish((*_SILENT, *later.DEFINITIONS, *registry.SECTIONS))
