"""Resources: definitions read, written, exported and imported through the API."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from appliance.engine.program import source_of
from appliance.errors import Conflict, InvalidInput, NotFound, PreconditionFailed
from appliance.language import canonical, yaml
from appliance.language.kinds import KINDS, NOUNS, identifier
from appliance.language.mentions import Name, mentions
from appliance.language.model import Declaration, Json, Project
from appliance.language.problems import InvalidDocument
from appliance.operations import audit
from appliance.operations.actors import Actor, require_admin
from appliance.operations.appliance import Appliance
from appliance.operations.definitions import Changes
from appliance.operations.pages import Page, decode_cursor, page_of

STRATEGIES = ("seed_only", "overwrite_conflicts")
"""What an import does with a definition that is there already: leave it, or replace it."""

MASK = "********"
_SECRETS = frozenset({"api_key", "headers", "password", "secret", "token"})


class Condition(NamedTuple):
    """What must be true for a change: `If-Match` and `If-None-Match` as sets of etags, `*` is any."""

    match: frozenset[str] | None = None
    none_match: frozenset[str] | None = None

    def check(self, etag: str | None) -> None:
        """Raise PreconditionFailed unless it holds for what has *etag*, None if there is nothing."""
        if self.match is not None and not _among(etag, self.match):
            raise PreconditionFailed
        if self.none_match is not None and _among(etag, self.none_match):
            raise PreconditionFailed(
                "It exists already, and `If-None-Match` asks that it does not."
            )


ALWAYS = Condition()


class Imported(NamedTuple):
    """What an import did, each as `noun/id`."""

    created: list[str]
    replaced: list[str]
    skipped: list[str]


def list_resources(
    appliance: Appliance,
    actor: Actor,
    noun: str,
    *,
    q: str = "",
    workflow_id: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page:
    """Return the definitions whose id begins with *q*, by id; with *workflow_id* those it names.

    Raises InvalidInput for a bad cursor, NotFound for an unknown workflow.
    """
    project, kind = appliance.project, KINDS[noun]
    after = decode_cursor(cursor) if cursor else ""
    found = set(project.declared.get(kind, {}))
    if workflow_id is not None:
        data = _declared(project, "workflow", workflow_id).data
        found &= {name for named, name in mentions("workflow", data) if named == kind}
    names = sorted(name for name in found if name.startswith(q) and name > after)
    items = [get_resource(appliance, actor, noun, name) for name in names[: limit + 1]]
    return page_of(items, limit, "id")


def get_resource(appliance: Appliance, actor: Actor, noun: str, name: str) -> dict[str, Json]:
    """Return a definition with its etag and where it stands. Raises NotFound.

    Who is no admin does not see what looks like a secret.
    """
    project, kind = appliance.project, KINDS[noun]
    declared = _declared(project, kind, name)
    data = declared.data if actor.role == "admin" else without_secrets(declared.data)
    place = {"etag": etag_of(project, kind, name), "defined_in": declared.file or "api"}
    return {**data, "id": name, **place}


async def put_resource(
    appliance: Appliance,
    actor: Actor,
    noun: str,
    name: str,
    text: str,
    *,
    condition: Condition = ALWAYS,
) -> tuple[dict[str, Json], bool]:
    """Create or replace a definition. Return it, and whether it is new.

    Raises Forbidden, InvalidInput (no YAML, another id), Conflict (a file has it),
    PreconditionFailed, InvalidProject (it does not fit the rest), and the errors of a write.
    """
    require_admin(actor)
    kind = KINDS[noun]
    data = await asyncio.to_thread(_read, text, "the body")
    if identifier(data) != name:
        msg = f"The body has the id {identifier(data)!r}, the address has {name!r}; send the same."
        raise InvalidInput(msg)
    created = False

    def decide(project: Project) -> Changes:
        nonlocal created
        created = name not in project.declared.get(kind, {})
        condition.check(None if created else etag_of(project, kind, name))
        _refuse_of_file(project, kind, name)
        return {(kind, name): text}

    await appliance.definitions.change(actor, decide, _note(actor, "definition.stored", noun, name))
    return get_resource(appliance, actor, noun, name), created


async def delete_resource(
    appliance: Appliance, actor: Actor, noun: str, name: str, condition: Condition = ALWAYS
) -> None:
    """Remove a definition that came through the API; one in a file that it hid counts again.

    Raises Forbidden, NotFound, Conflict (a file has it, or others name it), PreconditionFailed,
    InvalidProject, and the errors of a write.
    """
    require_admin(actor)
    kind = KINDS[noun]

    def decide(project: Project) -> Changes:
        stored = appliance.definitions.stored((kind, name))
        declared = project.declared.get(kind, {}).get(name)
        if stored is None and declared is None:
            raise NotFound(_missing(project, kind, name))
        condition.check(etag_of(project, kind, name) if declared else None)
        if stored is None and declared is not None:
            where = declared.file
            raise Conflict(f"The {kind} {name!r} stands in {where}; remove it there and reload.")
        if declared is not None and not declared.file and not declared.hides:
            _refuse_named(project, kind, name)
        return {(kind, name): None}

    await appliance.definitions.change(
        actor, decide, _note(actor, "definition.deleted", noun, name)
    )


def export_resources(appliance: Appliance, actor: Actor, noun: str | None = None) -> str:
    """Return all definitions, or those of one *noun*, as YAML that `import_resources` takes.

    Raises Forbidden: an export holds what was written, secrets too.
    """
    require_admin(actor)
    declared = appliance.project.declared
    bundle = {
        each: [found.data for _, found in sorted(declared.get(kind, {}).items())]
        for each, kind in KINDS.items()
        if noun in (None, each)
    }
    return canonical.to_yaml({each: items for each, items in bundle.items() if items or noun})


async def import_resources(
    appliance: Appliance,
    actor: Actor,
    text: str,
    strategy: str = "seed_only",
    noun: str | None = None,
) -> Imported:
    """Take up definitions, all or none, and tell what became of each.

    Raises Forbidden, InvalidInput (no such strategy, not in the form of an export), Conflict (a
    file has another definition of the same), InvalidProject, and the errors of a write.
    """
    require_admin(actor)
    if strategy not in STRATEGIES:
        raise InvalidInput(f"The strategy is {strategy!r}; it must be {' or '.join(STRATEGIES)}.")
    found = await asyncio.to_thread(_bundle, text, noun)
    done = Imported([], [], [])

    def decide(project: Project) -> Changes:
        changes = {}
        for (kind, name), data in found.items():
            declared = project.declared.get(kind, {}).get(name)
            fate = _fate(declared, data, strategy)
            getattr(done, fate).append(f"{NOUNS[kind]}/{name}")
            if fate != "skipped":
                _refuse_of_file(project, kind, name)
                changes[kind, name] = canonical.to_yaml(data)
        return changes

    note = _note(actor, "definition.imported", noun or "project", strategy, done=done)
    await appliance.definitions.change(actor, decide, note)
    return done


def etag_of(project: Project, kind: str, name: str) -> str:
    """Return the hash of a definition; that of a workflow covers the tools and options it uses."""
    workflow = project.workflows.get(name) if kind == "workflow" else None
    if workflow is not None:
        return hashlib.sha256(source_of(workflow)).hexdigest()
    return canonical.digest(_declared(project, kind, name).data)


def without_secrets(value: Json) -> Json:
    """Return *value* with what looks like a secret masked; templates show no secret and stay."""
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _masked(item) if key in _SECRETS else without_secrets(item)
        for key, item in value.items()
    }


def _masked(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    return value if isinstance(value, str) and "{{" in value else MASK


def _among(etag: str | None, etags: frozenset[str]) -> bool:
    return etag is not None and ("*" in etags or etag in etags)


def _declared(project: Project, kind: str, name: str) -> Declaration:
    try:
        return project.declared[kind][name]
    except KeyError:
        raise NotFound(_missing(project, kind, name)) from None


def _missing(project: Project, kind: str, name: str) -> str:
    known = ", ".join(sorted(project.declared.get(kind, {}))[:20]) or "none"
    return f"There is no {kind} {name!r}; this project has: {known}."


def _refuse_of_file(project: Project, kind: str, name: str) -> None:
    declared = project.declared.get(kind, {}).get(name)
    if declared is not None and declared.file and project.source_of_truth == "repo":
        msg = (
            f"The {kind} {name!r} stands in {declared.file}, and files come first; change it there, "
            "or set config.source_of_truth: builder in compozy.yaml."
        )
        raise Conflict(msg, file=declared.file, setting="config.source_of_truth")


def _refuse_named(project: Project, kind: str, name: str) -> None:
    users: dict[str, list[str]] = {}
    for user_kind, found in project.declared.items():
        for user, declared in sorted(found.items()):
            if (kind, name) in mentions(user_kind, declared.data) and (user_kind, user) != (
                kind,
                name,
            ):
                users.setdefault(NOUNS.get(user_kind, user_kind), []).append(user)
    if users:
        who = "; ".join(f"{noun}: {', '.join(names)}" for noun, names in sorted(users.items()))
        raise Conflict(f"The {kind} {name!r} is still named by {who}.", references=users)


def _fate(declared: Declaration | None, data: Json, strategy: str) -> str:
    if declared is None:
        return "created"
    return "skipped" if strategy == "seed_only" or declared.data == data else "replaced"


def _note(actor: Actor, action: str, noun: str, name: str, **details: Any) -> Callable[..., None]:
    def note(tx: Any) -> None:
        done = {key: value._asdict() for key, value in details.items()}
        audit.record(tx, actor, action, f"{noun}/{name}", done)

    return note


def _read(text: str, file: str) -> dict[str, Json]:
    try:
        data = yaml.load(text, file).data
    except InvalidDocument as error:
        raise InvalidInput(f"{error.message}.") from None
    if not isinstance(data, dict):
        raise InvalidInput(f"{file} must be a mapping.")
    return data


def _bundle(text: str, noun: str | None) -> dict[Name, dict[str, Json]]:
    """Return the definitions in the text of an export."""
    bundle = _read(text, "the body")
    wanted = [noun] if noun else list(KINDS)
    strange = sorted(bundle.keys() - set(wanted))
    if strange:
        msg = (
            f"The body has {', '.join(strange)}; what can be imported here is {', '.join(wanted)}."
        )
        raise InvalidInput(msg)
    found: dict[Name, dict[str, Json]] = {}
    for each in wanted:
        for name, data in _entries(each, bundle.get(each)):
            if (KINDS[each], name) in found:
                raise InvalidInput(f"{each}/{name} is there twice.")
            found[KINDS[each], name] = data
    return found


def _entries(noun: str, entries: Json) -> Iterator[tuple[str, dict[str, Json]]]:
    if not isinstance(entries or [], list):
        raise InvalidInput(f"{noun} must be a list.")
    for number, data in enumerate(entries or [], 1):
        if not isinstance(data, dict) or not identifier(data):
            raise InvalidInput(f"Entry {number} of {noun} must be a mapping with an id.")
        yield identifier(data), {key: value for key, value in data.items() if key != "resource"}
