"""`schema`: what an editor needs to complete and check the files of a project."""

from __future__ import annotations

from pathlib import Path

import click

from appliance import atomic
from appliance.errors import UsageError


@click.command()
@click.argument("kind", required=False)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write it into this directory, or all of them where KIND is not said.",
)
@click.option("--debug", is_flag=True, expose_value=False, help="Show where errors arise.")
def schema(kind: str | None, out: Path | None) -> None:
    """Print the JSON Schema of a kind of file, for editors; without KIND, the kinds there are.

    `project` is compozy.yaml, `resource` is any file that says itself what it defines.
    """
    from appliance.language.editor.files import NAMES, file_name, written
    from appliance.language.suggestions import hint

    if kind is not None and kind not in NAMES:
        raise UsageError(
            f'There is no schema "{kind}"{hint(kind, NAMES) or ";"} "schema" lists them.'
        )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name in [kind] if kind else NAMES:
            atomic.write(out / file_name(name), written(name).encode(), mode=0o644)
            click.echo(out / file_name(name))
    elif kind is None:
        click.echo("\n".join(NAMES))
    else:
        click.echo(written(kind), nl=False)
