"""The README is run: every command that it shows, in its order, with the file as it is built."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from appliance.config import DatabaseSettings
from tests.packaging.program import PATH, ROOT, Program

README = ROOT / "README.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(((?!http)[^)#]+)\)")


class Reader:
    """Somebody who follows the README in a directory that holds `dist/compozy.pyz`."""

    def __init__(self, home: Path, unpacked: Path, postgres: DatabaseSettings) -> None:
        self.home = home
        self.printed: dict[str, str] = {}
        self._postgres = postgres
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        self._environment = {
            "PATH": PATH,
            "SHIV_ROOT": str(unpacked),
            "SERVER_PORT": port,
        }

    def follow(self, block: str) -> None:
        """Run the lines of a block. A `cd` or an `export` counts to its end."""
        directory, environment = self.home, dict(self._environment)
        for line in block.splitlines():
            words = line.split()
            if words[0] == "cd":
                directory /= words[1]
            elif words[0] == "export":
                assert "DATABASE_URL=postgresql://" in line
                environment["DB_CONN_STRING"] = self._postgres.conninfo
            elif words[0] == "make":
                self._make(words[1])
            elif words[1] == "start":
                self._serve(line, directory, environment)
            else:
                self.printed[line] = self._run(line, directory, environment)

    def _make(self, target: str) -> None:
        """`make` would build again or test itself; that the target is there has to do."""
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)

    def _run(self, line: str, directory: Path, environment: dict[str, str]) -> str:
        if "…" in line:
            (archive,) = (directory / "data" / "backups").glob("*.zip")
            line = line.rpartition(" ")[0] + f" {archive}"
        result = subprocess.run(
            line.split(),
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, (line, result.stderr)
        return result.stdout

    def _serve(self, line: str, directory: Path, environment: dict[str, str]) -> None:
        log = self.home / "server.log"
        with log.open("w") as output:
            server = subprocess.Popen(
                line.split(), cwd=directory, env=environment, stdout=output, stderr=output
            )
        try:
            while "Listening on" not in log.read_text():
                assert server.poll() is None, (line, log.read_text())
            server.send_signal(signal.SIGTERM)
            assert server.wait(30) == 0, log.read_text()
        finally:
            server.kill()
            server.wait()


@pytest.fixture
def reader(program: Program, tmp_path: Path, postgres_settings: DatabaseSettings) -> Reader:
    (tmp_path / "dist").mkdir()
    shutil.copy2(program.path, tmp_path / "dist")
    return Reader(tmp_path, program.unpacked, postgres_settings)


def test_every_command_of_the_readme_works(reader: Reader) -> None:
    """A newcomer who types what the README shows gets what it says."""
    blocks = BLOCK.findall(README.read_text())
    for block in blocks:
        reader.follow(block)

    assert len(blocks) > 8
    hello = reader.printed["./dist/compozy.pyz workflow run hello --input name=Ada"]
    assert '"greeting": "Hello, Ada!"' in hello


def test_every_link_of_the_readme_leads_somewhere() -> None:
    """No link of the README is dead."""
    missing = [link for link in LINK.findall(README.read_text()) if not (ROOT / link).exists()]

    assert [] == missing
