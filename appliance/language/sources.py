"""Where definitions come from: compozy.yaml, the files that it names or finds, and the API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from appliance.language import yaml
from appliance.language.autoload import find_files
from appliance.language.definitions import KINDS, LISTS, definition_id
from appliance.language.model import Declaration
from appliance.language.problems import InvalidDocument, Problem, Problems
from appliance.language.sections import Section

PROJECT_FILE = "compozy.yaml"

_LISTS = {**LISTS, "schemas": "schema", "tools": "tool", "memories": "memory"}
_ALIASES = {"vectordb": "vector_db"}
_KINDS = ("workflow", "task", "tool", "schema", "memory", *sorted(KINDS), *_ALIASES)
"""What `resource` can say."""

Resource = tuple[str, str, str]
"""Kind, id and text (YAML or JSON) of a definition that was stored through the API."""


class Entry(NamedTuple):
    """A definition before it is checked. Its problems are its own until they are settled."""

    kind: str
    section: Section
    problems: Problems
    stored: bool = False
    hides: str = ""
    """The file with another definition of the same, which does not count."""

    @property
    def id(self) -> str:
        """The id as written; empty where there is none."""
        return definition_id(self.kind, self.section)

    @property
    def file(self) -> str:
        """The name of the document that it stands in."""
        return self.section.document.file

    @property
    def is_file(self) -> bool:
        """Whether it is a document of its own, not an entry of a list in compozy.yaml."""
        return not self.section.path

    @property
    def declaration(self) -> Declaration:
        """What it says and where."""
        data = {key: value for key, value in self.section.data.items() if key != "resource"}
        return Declaration(data, "" if self.stored else self.file, self.hides)


class Sources:
    """Finds the definitions of one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.problems = Problems()
        self._seen: set[Path] = set()
        self._strict = True

    def open(self, name: str, problems: Problems | None = None) -> Section | None:
        """Read a file of the directory; None once it is noted that it cannot be read."""
        noted = problems or self.problems
        try:
            return Section.of(yaml.read(self.directory / name, name), noted)
        except InvalidDocument as error:
            noted.add(error.problem)
            return None

    def shown(self, file: Path) -> str:
        """Return the name of a file as problems have it."""
        inside = file.is_relative_to(self.directory)
        return str(file.relative_to(self.directory)) if inside else str(file)

    def of_project(self, section: Section) -> Iterator[Entry]:
        """Go over what compozy.yaml defines, names and finds."""
        for key, kind in _LISTS.items():
            for inner in section.sections(key):
                yield Entry(kind, inner, self.problems)
        named = [self.open(self.shown(file)) for file in self._named(section)]
        autoload = section.section("autoload")
        yield from (Entry("workflow", file, self.problems) for file in named if file is not None)
        yield from self._found(autoload) if autoload else ()

    def of_api(self, resources: Iterable[Resource]) -> Iterator[Entry]:
        """Go over what was stored through the API."""
        for kind, name, text in resources:
            file = f"api:{kind}/{name}"
            try:
                section = Section.of(yaml.load(text, file), self.problems)
            except InvalidDocument as error:
                self.problems.add(error.problem)
                continue
            if section is not None and _is_of_api(section, kind, name):
                yield Entry(_ALIASES.get(kind, kind), section, self.problems, stored=True)

    def settle(self, entry: Entry) -> None:
        """Let the problems of a definition count: all of them, or as warnings where that was asked."""
        if entry.problems is not self.problems:
            self._judge(entry.problems)

    def forgives(self, entry: Entry) -> bool:
        """Whether a definition with errors is left out."""
        return entry.problems is not self.problems and not self._strict

    def _named(self, section: Section) -> Iterator[Path]:
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

    def _found(self, autoload: Section) -> Iterator[Entry]:
        self._strict = autoload.flag("strict") if autoload.has("strict") else True
        for file in find_files(autoload, self.directory):
            if file.name == PROJECT_FILE or not self._take(file):
                continue
            problems = Problems()
            found = self._open_found(file, problems)
            kind = _kind(found) if found is not None else ""
            if found is not None and kind:
                yield Entry(kind, found, problems)
            else:
                self._judge(problems)

    def _open_found(self, file: Path, problems: Problems) -> Section | None:
        if file.resolve().is_relative_to(self.directory.resolve()):
            return self.open(self.shown(file), problems)
        problems.add(Problem(self.shown(file), 0, 0, "this link leads out of the project"))
        return None

    def _judge(self, problems: Problems) -> None:
        if self._strict:
            self.problems.include(problems)
        else:
            self.problems.forgive(problems)


def _kind(section: Section) -> str:
    kind = section.needed_text("resource") and section.choice("resource", _KINDS, "")
    return _ALIASES.get(kind, kind)


def _is_of_api(section: Section, kind: str, name: str) -> bool:
    """Whether a stored text is the definition that it is stored as; if not, that is noted."""
    told = section.text("resource", kind)
    if kind not in _KINDS:
        section.error(f"there is no kind of definition {kind!r}")
    elif _ALIASES.get(told, told) != _ALIASES.get(kind, kind):
        section.error(f"resource must be {kind!r} here", "resource")
    elif section.has("id") and section.text("id") != name:
        section.error(f"the id must be {name!r}, under which it is stored", "id")
    elif not section.has("id") and definition_id(kind, section) != name:
        section.error("'id' is missing")
    else:
        return True
    return False
