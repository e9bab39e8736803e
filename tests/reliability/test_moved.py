"""Move everything to PostgreSQL and back, with kill -9 in the middle of each move."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.config import DatabaseSettings
from appliance.store import migrations, snapshot
from appliance.store.tables import TABLES, Tables
from tests.postgres_server import url_of

from .history import History, Outcome
from .load import Load
from .oracle import judge, judge_file
from .serving import Server
from .test_failpoints import MOVES, armed
from .test_waiting import ANSWER, command, start, until
from .tiers import sized
from .verdict import Verdict

KILLS = sized(1, 10, 50)
*BEFORE_COMMIT, _, _ = MOVES
AT_THE_END = list(MOVES)[-2:]
NOT_EMPTY = 73


def rows(settings: DatabaseSettings) -> int:
    """Return how many rows there are in a database, which may not be there yet."""
    if any(step.applied_at_us is None for step in migrations.status(settings)):
        return 0
    with snapshot(settings) as tx:
        return sum(len(list(Tables(tx).rows(table))) for table in TABLES)


def move(server: Server, target: DatabaseSettings, last: str, dice: random.Random) -> list[str]:
    """Move what *server* has; attempts are killed, at random and at places, until that at *last*.

    Return what was wrong: an attempt leaves nothing, or everything.
    """
    whole, where = rows(server.database), url_of(target) if target.conninfo else target.path
    wrong = []
    for _ in range(KILLS):
        with server.started("move", MOVE_TO=where) as process:
            time.sleep(dice.uniform(0.3, 0.6))
            process.kill()
        if rows(target) not in (0, whole):
            wrong.append(f"{rows(target)} of {whole} rows were moved")
    for place in [*BEFORE_COMMIT, last]:
        if rows(target):
            break
        killed = server.command("move", wrapper=armed(place, 1), MOVE_TO=where)
        assert -signal.SIGKILL == killed.returncode, f"{place} was not reached: {killed.stderr}"
        if rows(target) != (whole if place == last else 0):
            wrong.append(f"{place}: {rows(target)} of {whole} rows were moved")
    again = server.command("move", MOVE_TO=where)
    assert NOT_EMPTY == again.returncode, again.stderr
    return wrong


def test_what_was_moved_goes_on(
    tmp_path: Path,
    postgres_settings: DatabaseSettings,
    seed: str,
    conclude: Callable[[Verdict], None],
) -> None:
    """Nothing acknowledged is lost, keys work, and a run that waits goes on in its new home."""
    dice = random.Random(seed)
    verdict = Verdict("Move, killed and repeated", 2 * (KILLS + len(BEFORE_COMMIT) + 1))
    (tmp_path / "back").mkdir(0o700)
    first = DatabaseSettings(path=str(tmp_path / "data" / "app.db"))
    last = DatabaseSettings(path=str(tmp_path / "back" / "app.db"))
    history = History(tmp_path / "history")
    homes = [Server(tmp_path, settings) for settings in (first, postgres_settings, last)]
    with homes[0].running() as process, Load(homes[0], history, seed):
        waiting = [start(homes[0], "approval", question="now?") for _ in homes[1:]]
        time.sleep(2)
        process.terminate()
        process.wait(30)
    ends = zip(homes, homes[1:], waiting, AT_THE_END, strict=False)
    for source, target, exec_id, place in ends:
        verdict.findings.corrupt += move(source, target.database, place, dice)
        with target.running() as process:
            command(target, exec_id, "signals", ANSWER)
            until(target, exec_id, "SUCCESS")
            verdict.add(judge(target, history, 0))
            process.terminate()
            process.wait(30)
    verdict.add(judge_file(Path(last.path)))
    verdict.acknowledged = history.count(Outcome.OK)
    conclude(verdict)


@pytest.mark.reliability
def test_a_move_in_pieces_is_caught(tmp_path: Path, postgres_settings: DatabaseSettings) -> None:
    """Where each table is committed by itself, a kill leaves a part, and that is found."""
    source = DatabaseSettings(path=str(tmp_path / "data" / "app.db"))
    server = Server(tmp_path, source, sabotage="import_table_by_table")
    with server.running() as process:
        process.terminate()
        process.wait(30)
    server.command("move", wrapper=armed("import.batch", 2), MOVE_TO=url_of(postgres_settings))
    assert 0 < rows(postgres_settings) < rows(source)
