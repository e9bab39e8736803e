"""Rules of the files that settings are read from."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config import (
    load,
)
from tests.config.loading import chosen, refusal, write


class TestFile:
    def test_unknown_setting(self, tmp_path: Path) -> None:
        """An unknown name is an error with its place and the nearest known one."""
        write(tmp_path, "name: x\nserver:\n  prot: 1\n")
        assert (
            'compozy.yaml:3:3: there is no setting "server.prot". Did you mean "server.port"?'
            == refusal(tmp_path)
        )

    @pytest.mark.parametrize("name", ["database.bogus_name", "server.timeouts.x", "cli.x.y"])
    def test_unknown_setting_without_a_neighbour(self, tmp_path: Path, name: str) -> None:
        """Unknown names are errors in every section that has an effect, at any depth."""
        keys = name.split(".")
        write(tmp_path, "".join("  " * n + key + ":\n" for n, key in enumerate(keys)))
        assert f'there is no setting "{name.removesuffix(".y")}".' in refusal(tmp_path)

    def test_settings_without_effect(self, tmp_path: Path) -> None:
        """What Compozy has and nothing here needs is accepted and listed."""
        write(
            tmp_path,
            "mode: standalone\n"
            "temporal: {host_port: 'x:1'}\n"
            "redis: {url: redis://x}\n"
            "server: {auth: {admin_key: abc, enabled: true}, timeouts: {http_write: 1s}}\n"
            "database: {journal_mode: WAL}\n"
            "runtime: {type: bun, entrypoint: ./x.ts, native_tools: {call_agent: {enabled: true}}}\n",
        )
        assert (
            "database.journal_mode",
            "mode",
            "redis",
            "runtime.native_tools.call_agent",
            "server.auth.admin_key",
            "server.timeouts.http_write",
            "temporal",
        ) == load({}, tmp_path, {}).unused

    def test_project_fields_are_left_alone(self, tmp_path: Path) -> None:
        """Keys of the project, and sections shared with it, are not the configuration's business."""
        write(
            tmp_path,
            "name: x\nworkflows: [{source: a.yaml}]\nanything: [1]\n"
            "runtime: {permissions: [--allow-read]}\nknowledge: [{id: kb}]\nserver:\n",
        )
        assert () == load({}, tmp_path, {}).unused

    def test_knowledge_map(self, tmp_path: Path) -> None:
        """The map form of knowledge, which Compozy documents, is read."""
        write(
            tmp_path,
            "knowledge:\n  chunk_size: 800\n  vector_dbs:\n"
            "    - {id: a, provider: qdrant, url: 'http://x', options: {deep: 1}}\n",
        )
        loaded = load({}, tmp_path, {})
        assert ({"id": "a", "provider": "qdrant", "url": "http://x"},) == (
            loaded.settings.knowledge_vector_dbs
        )
        assert ("knowledge.chunk_size",) == loaded.unused

    def test_aliases(self, tmp_path: Path) -> None:
        """The spellings of the documentation, dbname and sslmode, work; giving both is refused."""
        write(tmp_path, "database: {dbname: d, sslmode: require}\n")
        assert "dbname='d' sslmode='require'" in chosen(tmp_path).conninfo
        write(tmp_path, "database: {dbname: d, name: e}\n")
        assert '"database.name" is given twice' in refusal(tmp_path)

    def test_lists(self, tmp_path: Path) -> None:
        """A list may be written as YAML list or with commas."""
        for text in ("[http://a, http://b]", "http://a, http://b"):
            write(tmp_path, f"server:\n  cors:\n    allowed_origins: {text}\n")
            server = load({}, tmp_path, {}).settings.server
            assert ("http://a", "http://b") == server.cors_allowed_origins

    def test_reference_to_a_variable(self, tmp_path: Path) -> None:
        """A value may come from the environment, so that secrets need not stand in the file."""
        write(tmp_path, 'database:\n  password: "{{ .env.PASS }}"\n')
        assert "password='it'" in chosen(tmp_path, PASS="it").conninfo
        assert "compozy.yaml:2:13: the variable PASS is not set." == refusal(tmp_path)

    @pytest.mark.parametrize(
        "text",
        [
            "server: [1]\n",
            "server: 5\n",
            "server: {port: {a: 1}}\n",
            "server: {port: 1, port: 2}\n",
            "server: {port: 1}\nserver: {port: 2}\n",
            "server: {? [a] : 1}\n",
            "knowledge: {vector_dbs: {a: 1}}\n",
            "knowledge: {vector_dbs: [1]}\n",
            "- 1\n",
            "server: {port\n",
            "server: *nowhere\n",
        ],
    )
    def test_wrong_shapes(self, tmp_path: Path, text: str) -> None:
        """A value of the wrong shape is an error that begins with its place."""
        write(tmp_path, text)
        assert refusal(tmp_path).startswith("compozy.yaml:")

    def test_unreadable(self, tmp_path: Path) -> None:
        """A file that is not text is refused with a sentence."""
        (tmp_path / "compozy.yaml").write_bytes(b"a: \xff")
        assert "not UTF-8" in refusal(tmp_path)
        (tmp_path / "compozy.yaml").write_bytes(b"a: \0")
        assert "compozy.yaml" in refusal(tmp_path)

    @pytest.mark.parametrize("empty", ["", "~", "null", '""'])
    def test_empty_values(self, tmp_path: Path, empty: str) -> None:
        """An empty value in the file counts as not set."""
        write(tmp_path, f"database:\n  host: {empty}\n")
        assert "sqlite" == chosen(tmp_path).driver


class TestEnvFile:
    @pytest.mark.parametrize(
        ("line", "value"),
        [
            ("X=a", "a"),
            ("export X = a b # note", "a b"),
            ("X=a#b", "a#b"),
            ("X='a # $b'", "a # $b"),
            ('X="a\\n\\"b\\"" # note', 'a\n"b"'),
            ("X=", ""),
            ("X=${HOME}", "${HOME}"),
        ],
    )
    def test_forms(self, tmp_path: Path, line: str, value: str) -> None:
        """Quotes, comments and export are understood; a dollar sign is plain text."""
        (tmp_path / ".env").write_text(f"# first\n\n{line}\n")
        assert value == load({}, tmp_path, {}).env["X"]

    @pytest.mark.parametrize("line", ["nonsense s3cret", 'X="s3cret', "X='s3cret", "1X=s3cret"])
    def test_wrong_lines(self, tmp_path: Path, line: str) -> None:
        """A wrong line is named by number, never quoted: it may hold a secret."""
        (tmp_path / ".env").write_text(f"A=1\n{line}\n")
        message = refusal(tmp_path)
        assert f"{tmp_path}/.env:2:" in message
        assert "s3cret" not in message.removeprefix(str(tmp_path))

    def test_missing(self, tmp_path: Path) -> None:
        """A file that was named must exist."""
        assert "cannot be read" in refusal(tmp_path, COMPOZY_ENV_FILE="none")

    def test_environment_wins_in_templates(self, tmp_path: Path) -> None:
        """Templates see the names of .env with the values of the environment, and no other names."""
        (tmp_path / ".env").write_text("A=1\nB=2\n")
        assert {"A": "1", "B": "3"} == load({}, tmp_path, {"B": "3", "C": "4"}).env
