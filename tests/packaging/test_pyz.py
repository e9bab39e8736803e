"""One file is the whole program: it runs anywhere, repairs itself and is the same each time."""

from __future__ import annotations

import ast
import os
import shutil
import stat
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import boot
import build
import pytest

from appliance import __version__
from tests.packaging.program import PATH, Program


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_version(program: Program) -> None:
    """The file is executable and says which program it is."""
    run = program.run("version")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith(f"compozy {__version__}\n")


def test_start_needs_nothing(program: Program) -> None:
    """In an empty directory it makes its data, private, and serves; the command line finds it."""
    with program.serving() as server:
        with urllib.request.urlopen(f"{server.url}/health", timeout=10) as answer:
            assert answer.status == 200
        run = program.run("workflow", "run", "hello", "--input", "name=Ada")
        assert (run.returncode, run.stdout) == (0, '{\n  "greeting": "Hello, Ada!"\n}\n')
        assert server.stop() == 0
    data = program.cwd / "data"
    assert (mode(data), mode(data / "app.db"), mode(data / "admin.key")) == (0o700, 0o600, 0o600)
    assert sorted(path.name for path in program.cwd.iterdir()) == ["data", "server.log"]


def test_backup_and_restore(program: Program) -> None:
    """What was backed up while the server ran is there after a restore into an empty directory."""
    with program.serving() as server:
        assert server.url
        assert program.run("workflow", "run", "hello").returncode == 0
        assert program.run("backup", "create").returncode == 0
        archive = next((program.cwd / "data" / "backups").glob("*.zip"))
        refused = program.run("restore", str(archive))
    assert (refused.returncode, refused.stdout) == (73, "")
    assert f"in use by process {server.process.pid}" in refused.stderr
    restored = program.run("restore", str(archive), "--to", "other")
    assert restored.returncode == 0, restored.stderr
    assert mode(program.cwd / "other" / "app.db") == 0o600


def test_second_server_is_refused(program: Program) -> None:
    """Two servers never share a data directory; exit code 73."""
    with program.serving() as server:
        assert server.url
        second = program.run("start", "--port", "0")
    assert second.returncode == 73
    assert f"process {server.process.pid}" in second.stderr


def test_same_sources_give_the_same_file(pyz: Path, source: Path, tmp_path: Path) -> None:
    """Another directory, another umask, another time: the same bytes."""
    again = tmp_path / "again" / "compozy.pyz"
    script = f"umask 077; exec {sys.executable} {source / 'packaging' / 'build.py'} {again}"
    environment = {**os.environ, "TMPDIR": str(tmp_path), "TZ": "Pacific/Kiritimati"}
    subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, check=True)
    assert again.read_bytes() == pyz.read_bytes()
    assert mode(again) == 0o755


def test_nothing_superfluous_is_inside(pyz: Path) -> None:
    """No sources of compiled modules, no tests, no scripts, nothing that was left out, no links."""
    with zipfile.ZipFile(pyz) as archive:
        infos = {info.filename: info for info in archive.infolist()}
    suffixes = {Path(name).suffix for name in infos}
    tops = {name.split("/")[1] for name in infos if name.startswith("site-packages/")}
    left_out = {name.replace("-", "_") for name in build.LEFT_OUT}
    assert suffixes & {".pyi", ".c", ".h", ".pyx", ".pxd", ".pyc"} == set()
    assert tops & ({"bin"} | left_out) == set()
    assert {
        info.external_attr >> 16 for name, info in infos.items() if name.startswith("site")
    } == {stat.S_IFREG | 0o644}
    assert pyz.stat().st_size < 25_000_000


def test_migrations_and_sample_are_inside(pyz: Path, source: Path) -> None:
    """What is no Python is there as well: SQL and the workflow of the first start."""
    with zipfile.ZipFile(pyz) as archive:
        names = {name.removeprefix("site-packages/") for name in archive.namelist()}
    sql = {str(path.relative_to(source)) for path in (source / "appliance").rglob("*.sql")}
    migrations = {
        f"appliance/{path.relative_to(source)}" for path in (source / "migrations").rglob("*.sql")
    }
    sample = {
        str(path.relative_to(source))
        for path in (source / "appliance" / "sample").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert (sql | migrations | sample) - names == set()
    assert min(len(sql), len(migrations), len(sample)) > 0


def test_every_module_can_be_imported(program: Program) -> None:
    """Nothing was left out that somebody needs."""
    script = (
        "import importlib, pkgutil, appliance\n"
        "names = [m.name for m in pkgutil.walk_packages(appliance.__path__, 'appliance.')]\n"
        "names += ['psycopg', 'psycopg_binary', 'uvloop', 'httptools', 'argon2']\n"
        "names += ['rich.table', 'rich.progress', 'structlog', 'prometheus_client', 'yaml', 'httpx']\n"
        "names.remove('appliance.__main__')\n"
        "for name in names: importlib.import_module(name)\n"
        "print(len(names))"
    )
    run = program.run("-c", script, SHIV_INTERPRETER="1")
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 100


def test_foreign_packages_are_not_seen(program: Program, tmp_path: Path) -> None:
    """Neither PYTHONPATH nor the current directory gets a word in."""
    for name in ("appliance.py", "click.py", "msgspec.py"):
        (tmp_path / name).write_text("raise SystemExit('foreign')")
    run = program.run("version", PYTHONPATH=str(tmp_path))
    assert (run.returncode, run.stderr) == (0, "")


@pytest.fixture
def own(program: Program, tmp_path: Path) -> Program:
    """The program with a place of its own to unpack itself, which was done.

    Every file is a link to the one that others use: it is to be replaced, not written into.
    """
    assert program.run("version").returncode == 0
    (tree,) = program.trees()
    own = Program(program.path, program.cwd, tmp_path / "unpacked")
    others_write = shutil.ignore_patterns("__pycache__")
    shutil.copytree(tree, own.unpacked / tree.name, ignore=others_write, copy_function=os.link)
    return own


def break_tree(program: Program) -> None:
    """Leave the program as a power cut can: one file is empty, another is gone."""
    (tree,) = program.trees()
    packages = tree / "site-packages"
    for path in (packages / "click" / "__init__.py", packages / "appliance" / "errors.py"):
        path.unlink()
    (packages / "click" / "__init__.py").touch()


@pytest.mark.parametrize("force", ["", "1"])
def test_unpacking_that_was_cut_off_is_done_again(own: Program, force: str) -> None:
    """Without the mark that everything reached the disk, nothing of it is believed."""
    break_tree(own)
    (own.trees()[0] / boot.DONE).unlink()
    run = own.run("version", SHIV_FORCE_EXTRACT=force)
    assert (run.returncode, run.stderr) == (0, "")


def test_unpacking_can_be_forced(own: Program) -> None:
    """When the card went bad later, one variable repairs the program, for good."""
    break_tree(own)
    assert own.run("version").returncode != 0
    assert own.run("version", SHIV_FORCE_EXTRACT="1").returncode == 0
    assert own.run("version").returncode == 0


def test_old_programs_are_deleted_but_the_last(own: Program) -> None:
    """Updates do not fill the card; the program before this one may still be running."""
    for age, name in enumerate(["oldest", "older", "last"]):
        tree = own.unpacked / f"compozy.pyz_{name}"
        tree.mkdir()
        os.utime(tree, (age, age))
    assert own.run("version", SHIV_FORCE_EXTRACT="1").returncode == 0
    names = [tree.name for tree in own.trees()]
    assert len(names) == 2
    assert "compozy.pyz_last" in names


def test_first_starts_at_the_same_time(program: Program, tmp_path: Path) -> None:
    """Whoever is second waits for the first."""
    environment = {"PATH": PATH, "SHIV_ROOT": str(tmp_path / "unpacked")}
    runs = [
        subprocess.Popen([program.path, "version"], env=environment, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    outputs = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert len(set(outputs)) == 1


def test_place_that_cannot_be_written(program: Program) -> None:
    """The user is told in a sentence what to do; exit code 74."""
    run = program.run("version", SHIV_ROOT="/dev/null/place")
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (74, "", 1)
    assert run.stderr.startswith("error: compozy cannot unpack itself: ")
    assert "set SHIV_ROOT to a directory with room" in run.stderr


def test_place_by_default_is_the_cache_of_the_user(program: Program, tmp_path: Path) -> None:
    """Without a word it unpacks itself below ~/.cache, and nowhere without a home."""
    environment = {"PATH": PATH, "HOME": str(tmp_path / "home")}
    subprocess.run([program.path, "version"], env=environment, check=True, capture_output=True)
    assert [path.name for path in (tmp_path / "home").iterdir()] == [".cache"]
    assert mode(tmp_path / "home" / ".cache" / "compozy") == 0o700


def test_wrong_python_is_told(program: Program, tmp_path: Path) -> None:
    """Compiled modules fit one Python and one processor; exit code 78 instead of an ImportError."""
    run = Program(for_a_toaster(program.path, tmp_path), tmp_path, program.unpacked).run("version")
    assert (run.returncode, run.stdout) == (78, "")
    expected = f"error: this compozy was built for cp399-toaster; this Python is {boot.target()}.\n"
    assert run.stderr == expected


def for_a_toaster(path: Path, directory: Path) -> Path:
    """The same file as a build for another machine would be."""
    other = directory / "other.pyz"
    with zipfile.ZipFile(path) as source, other.open("wb") as file:
        file.write(f"#!{build.SHEBANG}\n".encode())
        with zipfile.ZipFile(file, "w") as target:
            for info in source.infolist():
                data = b"cp399-toaster" if info.filename == "target" else source.read(info)
                target.writestr(info, data)
    other.chmod(0o755)
    return other


def test_old_python_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first code can be read by Python 3.7, and says what is needed."""
    ast.parse(Path(boot.__file__).read_text(), feature_version=(3, 7))
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    with pytest.raises(SystemExit) as caught:
        boot.main()
    assert caught.value.code == 78
    assert "needs Python 3.11 or newer" in capsys.readouterr().err
