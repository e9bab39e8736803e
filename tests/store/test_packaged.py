"""The store inside an archive: queries and migrations are found where no directory is."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

_USE = """
import sys
sys.path.insert(0, sys.argv[1])
import appliance
assert appliance.__file__.startswith(sys.argv[1]), appliance.__file__
from appliance.config import DatabaseSettings
from appliance.store import migrations, open_database, queries
settings = DatabaseSettings(path=sys.argv[2])
print(len(queries.load("sqlite")), len(queries.load("postgres")), len(migrations.up(settings)))
open_database(settings).close()
"""


def test_the_store_works_from_an_archive(tmp_path: Path) -> None:
    """Nothing is opened by a path that only a checkout has."""
    archive = tmp_path / "appliance.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for folder, name in (("appliance", "appliance"), ("migrations", "appliance/migrations")):
            for path in sorted((ROOT / folder).rglob("*")):
                if path.suffix in (".py", ".sql"):
                    file.write(path, f"{name}/{path.relative_to(ROOT / folder)}")
    command = [sys.executable, "-c", _USE, str(archive), str(tmp_path / "app.db")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "" == done.stderr
    sqlite, postgres, steps = map(int, done.stdout.split())
    assert sqlite > 20
    assert postgres > 20
    assert steps == len(list((ROOT / "migrations" / "sqlite").glob("*.sql")))
