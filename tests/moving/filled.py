"""Databases with something in every table and every column."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.config import DatabaseSettings
from appliance.store import open_database
from appliance.store.database import Param, Transaction
from appliance.store.tables import TABLES, Tables

ODD = 'Zoë "7" \\ \n\t\u2028 \U0001f680 \u007f'
LARGE, SMALL = 2**63 - 1, -(2**63)
RUN = "0199a0b0-0000-7000-8000-00000000000"

ROWS: dict[str, list[dict[str, Param]]] = {
    "users": [
        {
            "id": "u1", "email": "Ada@example.org", "email_key": "ada@example.org",
            "role": "admin", "password_hash": "$argon2id$x", "created_at": 1, "updated_at": LARGE,
        },
        {
            "id": "u2", "email": ODD, "email_key": "zoë", "role": "user",
            "password_hash": None, "created_at": 0, "updated_at": SMALL,
        },
    ],
    "api_keys": [
        {
            "id": "k1", "user_id": "u1", "digest": "d1", "prefix": "cpzy_a", "name": ODD,
            "description": "", "role": "user", "created_at": 1, "expires_at": 2,
            "last_used_at": None,
        },
    ],
    "sessions": [{"digest": "s1", "user_id": "u2", "created_at": 1, "expires_at": 2}],
    "audit_log": [
        {
            "id": "a1", "at": 1, "actor": "u1", "actor_email": "x", "action": "user.created",
            "subject": ODD, "details": "{}",
        },
    ],
    "definitions": [{"hash": "h1", "workflow_id": "w", "source": ODD, "created_at": 1}],
    "workflow_states": [
        {
            "workflow_exec_id": f"{RUN}{number}", "workflow_id": "w", "definition_hash": "h1",
            "status": status, "input": "{}", "output": None, "error": None, "started_by": "u1",
            "idempotency_key": key, "recoveries": 0, "version": 1, "created_at": 1,
            "updated_at": 2, "origin": '{"type":"api"}', "history": "[]",
        }
        for number, (status, key) in enumerate([("WAITING", "b"), ("SUCCESS", "a"), ("FAILED", None)])
    ],
    "task_states": [
        {
            "workflow_exec_id": f"{RUN}0", "seq": seq, "task_id": "t", "execution_type": "basic",
            "status": "SUCCESS", "parent_seq": None, "position": 0, "attempt": 1, "retries": 0,
            "wake_at": None, "input": "{}", "output": f'"{"x" * 2000}"', "error": None,
            "version": 1, "created_at": 1, "updated_at": 2, "history": None,
        }
        for seq in range(1, 301)
    ],
    "signals": [
        {
            "workflow_exec_id": f"{RUN}0", "number": 1, "signal_id": "s", "name": "go",
            "payload": "null", "source": "api", "received_at": 1, "taken_by": None,
        },
    ],
    "memory_keys": [
        {
            "memory_ref": ref, "key": key, "message_count": 1, "token_count": 1,
            "last_position": 1, "written_at": 1, "flushed_at": None, "expires_at": None,
        }
        for ref, key in (("m", "é"), ("m", "a b"), ("m", "ab"), ("M", "ab"), ("m", "a-b"))
    ],
    "memory_messages": [
        {
            "memory_ref": "m", "key": "é", "position": 1, "role": "user", "content": ODD,
            "tokens": 3,
        },
    ],
    "memory_operations": [
        {"caller": "c", "number": 1, "request": "r", "result": "{}", "applied_at": 1},
    ],
    "schedules": [
        {
            "workflow_id": "w", "basis": "b", "last_tick": 1, "waiting_tick": None, "entries": 1,
            "last_exec_id": None, "last_run_at": None, "enabled": 1, "cron": None,
            "timezone": None, "changed_by": None, "changed_at": None,
        },
    ],
    "schedule_ticks": [
        {
            "workflow_id": "w", "number": 1, "tick": 1, "outcome": "started", "exec_id": f"{RUN}0",
            "reason": "", "at": 1,
        },
    ],
    "resources": [
        {
            "kind": "tool", "id": id_, "text": ODD, "version": 1, "created_at": 1,
            "created_by": "u1", "updated_at": 1, "updated_by": "u1",
        }
        for id_ in ("b", "B", "a", "_")
    ],
}  # fmt: skip
assert ROWS.keys() == set(TABLES)


def fill(settings: DatabaseSettings, rows: Mapping[str, list[dict[str, Param]]] = ROWS) -> None:
    """Put *rows*, by table, into a migrated database."""

    def work(tx: Transaction) -> None:
        for table in TABLES:
            if rows.get(table):
                assert Tables(tx).put(table, rows[table]) == len(rows[table])

    database = open_database(settings)
    try:
        database.write(work).result()
    finally:
        database.close()
