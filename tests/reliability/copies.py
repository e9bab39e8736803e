"""What the database in a file holds, and whether that is what a server had said at some time."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

from .history import History
from .load import DEFINITION, NOTE, RUN, USER
from .oracle import Findings, compare, judge_file

_HELD = {
    RUN: """
        SELECT json_extract(input, '$.names[0]') FROM workflow_states
        WHERE workflow_id = 'twelve'
    """,
    NOTE: "SELECT json_extract(content, '$') FROM memory_messages",
    USER: "SELECT email FROM users",
    DEFINITION: "SELECT id FROM resources",
}


def judge_copy(database: Path, history: History) -> Findings:
    """Compare a copy of the file and its log, which stay as they are, with *history*."""
    with tempfile.TemporaryDirectory() as scratch:
        for part in database.parent.glob(f"{database.name}*"):
            if part.name in (database.name, f"{database.name}-wal", f"{database.name}-journal"):
                shutil.copy(part, scratch)
        copy = Path(scratch, database.name)
        findings = judge_file(copy)
        past = history.at(len(history.writes))  # a copy must not settle what is open
        with closing(sqlite3.connect(copy)) as connection:
            for kind, query in _HELD.items():
                rows = connection.execute(query).fetchall()
                compare(findings, past, kind, Counter(name for (name,) in rows))
    return findings
