"""Rules of loading: what wins, what is safe, what is shown."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from appliance.config import (
    Loaded,
    load,
    registry,
)
from tests.config.loading import refusal, write


class TestPrecedence:
    def test_flags_beat_environment_beats_dotenv_beats_file_beats_default(
        self, tmp_path: Path
    ) -> None:
        """Flags > environment > .env > compozy.yaml > defaults, and each value knows its origin."""
        seen = []
        flags: dict[str, object] = {"server.port": 5}
        environ = {"SERVER_PORT": "4"}
        (tmp_path / ".env").write_text("SERVER_PORT=3\n")
        write(tmp_path, "server: {port: 2}\n")
        for weaken in (
            flags.clear,
            environ.clear,
            (tmp_path / ".env").unlink,
            (tmp_path / "compozy.yaml").unlink,
            lambda: None,
        ):
            loaded = load(flags, tmp_path, environ)
            seen.append((loaded.settings.server.port, loaded.origins["server.port"]))
            weaken()
        assert [
            (5, "flag"),
            (4, "environment"),
            (3, ".env"),
            (2, "compozy.yaml"),
            (5001, "default"),
        ] == seen

    def test_empty_variable_is_not_set(self, tmp_path: Path) -> None:
        """An empty variable counts as not set, as container files often produce it."""
        assert load({}, tmp_path, {"SERVER_PORT": "", "DATABASE_URL": ""}).origins == dict.fromkeys(
            registry.BY_PATH, "default"
        )

    def test_flag_that_was_not_given(self, tmp_path: Path) -> None:
        """None means that a flag was not given."""
        assert 5001 == load({"server.port": None}, tmp_path, {}).settings.server.port

    def test_named_env_file_replaces_the_others(self, tmp_path: Path) -> None:
        """--env-file names the only file of variables that is read."""
        (tmp_path / ".env").write_text("SERVER_PORT=3\nSERVER_HOST=::1\n")
        (tmp_path / "other").write_text("SERVER_PORT=4\n")
        server = load({"cli.env_file": "other"}, tmp_path, {}).settings.server
        assert (4, "127.0.0.1") == (server.port, server.host)

    def test_project_directory(self, tmp_path: Path) -> None:
        """compozy.yaml and .env of a project count; .env of the working directory is stronger."""
        project = tmp_path / "p"
        project.mkdir()
        write(project, "server: {host: '::1'}\n")
        (project / ".env").write_text("SERVER_PORT=3\nKEY=project\n")
        (tmp_path / ".env").write_text("KEY=here\n")
        loaded = load({}, tmp_path, {}, project=Path("p"))
        assert ("::1", 3) == (loaded.settings.server.host, loaded.settings.server.port)
        assert "here" == loaded.env["KEY"]
        assert tmp_path / "data" == loaded.settings.data_dir

    def test_project_file(self, tmp_path: Path) -> None:
        """compozy.yaml itself names its project; one workflow file has an .env and no settings."""
        project = tmp_path / "p"
        project.mkdir()
        write(project, "server: {port: 3}\n")
        (project / ".env").write_text("KEY=project\n")
        (project / "flow.yaml").touch()
        for name, port in (("compozy.yaml", 3), ("flow.yaml", 5001)):
            loaded = load({}, tmp_path, {}, project=Path("p", name))
            assert (port, {"KEY": "project"}) == (loaded.settings.server.port, loaded.env)

    def test_cwd_flag(self, tmp_path: Path) -> None:
        """--cwd works as if the program was called from there; a wrong one is refused."""
        (tmp_path / "p").mkdir()
        assert tmp_path / "p/data" == load({"cli.cwd": "p"}, tmp_path, {}).settings.data_dir
        assert "is not a directory" in refusal(tmp_path, ("cli.cwd", "q"))

    def test_data_dir(self, tmp_path: Path) -> None:
        """The data directory moves the default database with it."""
        settings = load({}, tmp_path, {"COMPOZY_DATA_DIR": "elsewhere"}).settings
        assert tmp_path / "elsewhere" == settings.data_dir
        assert str(tmp_path / "elsewhere/app.db") == settings.database.path

    @pytest.mark.parametrize("setting", registry.SETTINGS, ids=lambda s: s.path)
    def test_every_default_can_be_read(self, setting: registry.Setting) -> None:
        """Every default is a text that its own reader understands."""
        setting.read(setting.default)

    def test_names_are_unique(self) -> None:
        """No two settings share a variable or a flag, and no used setting is listed as inert."""
        flags = [s.flag for s in registry.SETTINGS if s.flag]
        names = [s.env for s in registry.SETTINGS]
        assert sorted(set(flags)) == sorted(flags)
        assert sorted(set(names)) == sorted(names)
        assert not [name for name in registry.BY_NAME if registry.is_inert(name)]


class TestSafety:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
    def test_no_auth_on_loopback(self, tmp_path: Path, host: str) -> None:
        """Authentication may be off where only this machine can come."""
        flags = {"server.auth.enabled": False, "server.host": host}
        assert not load(flags, tmp_path, {}).settings.server.auth_enabled

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
    def test_no_auth_on_a_network(self, tmp_path: Path, host: str) -> None:
        """Authentication cannot be off on any other address."""
        message = refusal(tmp_path, SERVER_AUTH_ENABLED="false", SERVER_HOST=host)
        assert f"listens on {host}" in message

    def test_secrets_are_masked(self, tmp_path: Path) -> None:
        """What is shown or printed never holds a secret."""
        loaded = load(
            {},
            tmp_path,
            {
                "DATABASE_URL": "postgresql://me:s3cret@h/d?password=s3cret",
                "DB_PASSWORD": "s3cret",
                "COMPOZY_API_KEY": "s3cret",
            },
        )
        assert "s3cret" not in repr(loaded.shown)
        assert "s3cret" not in repr(loaded.settings)
        shown = {item.setting: item.value for item in loaded.shown}
        assert "postgresql://me:********@h/d" == shown["database.url"]
        assert "********" == shown["cli.api_key"]

    def test_wrong_secret_is_not_repeated(self, tmp_path: Path) -> None:
        """A secret of a wrong form is refused without being quoted."""
        assert "s3cret" not in refusal(tmp_path, COMPOZY_API_KEY="s3cret\n")


def test_loaded_is_complete(tmp_path: Path) -> None:
    """Every setting is shown and has an origin."""
    loaded: Loaded = load({}, tmp_path, {})
    assert list(registry.BY_PATH) == list(loaded.origins)
    assert list(registry.BY_PATH) == [item.setting for item in loaded.shown]


class TestNativeTools:
    def test_paths_start_from_the_working_directory(self, tmp_path: Path) -> None:
        """What native tools may reach is known by absolute paths; without a root it is the project."""
        environ = {"RUNTIME_NATIVE_TOOLS_ADDITIONAL_ROOTS": "shared, /srv/files"}
        native = load({}, tmp_path, environ).settings.runtime.native_tools
        assert (None, (tmp_path / "shared", Path("/srv/files"))) == (
            native.root_dir,
            native.additional_roots,
        )

    def test_everything_dangerous_is_closed_by_default(self, tmp_path: Path) -> None:
        """Nothing can be executed and nothing private fetched unless somebody says so."""
        native = load({}, tmp_path, {}).settings.runtime.native_tools
        assert (True, (), ()) == (native.enabled, native.commands, native.private_hosts)

    def test_values_of_the_file_reach_the_settings(self, tmp_path: Path) -> None:
        """Names nest as in Compozy, and each kind of value arrives as what it means."""
        write(
            tmp_path,
            "runtime: {native_tools: {enabled: false, exec: {allowlist: [git, /bin/ls], timeout: 2s},"
            " fetch: {allowed_methods: [get, head], max_body_bytes: 1KiB},"
            " call_workflows: {enabled: false, default_timeout: 9s, max_concurrent: 3}}}\n",
        )
        native = load({}, tmp_path, {}).settings.runtime.native_tools
        assert (False, ("git", "/bin/ls"), 2.0) == (
            native.enabled,
            native.commands,
            native.exec_timeout,
        )
        assert (("GET", "HEAD"), 1024) == (native.methods, native.max_body)
        assert (False, 9.0, 3) == msgspec.structs.astuple(native.call_workflows)

    def test_files_of_variables_are_known(self, tmp_path: Path) -> None:
        """Every file that may hold secrets is named, be it read, passed over or not there."""
        (tmp_path / "mine").write_text("A=b\n")
        (tmp_path / "project").mkdir()
        loaded = load({"cli.env_file": "mine"}, tmp_path, {}, project=Path("project"))
        names = ("mine", "project/.env", ".env")
        assert tuple(tmp_path / name for name in names) == loaded.settings.env_files
