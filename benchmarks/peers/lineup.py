"""Who is measured, in the order of the tables."""

from __future__ import annotations

from benchmarks.peers.compozy import CompozyPostgres, CompozySqlite
from benchmarks.peers.dbos import DbosPostgres, DbosSqlite, DbosSqliteWal
from benchmarks.peers.huey import Huey
from benchmarks.peers.nodered import NodeRed
from benchmarks.peers.peer import Peer
from benchmarks.peers.prefect import Prefect
from benchmarks.peers.procrastinate import Procrastinate
from benchmarks.peers.restate import Restate

PEERS: tuple[type[Peer], ...] = (
    CompozySqlite,
    CompozyPostgres,
    DbosSqlite,
    DbosSqliteWal,
    DbosPostgres,
    Restate,
    Huey,
    Procrastinate,
    NodeRed,
    Prefect,
)
