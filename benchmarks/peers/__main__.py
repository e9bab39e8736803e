"""Compozy beside other products on this machine, told as tables, a plot and all raw rounds.

`make bench-peers` measures, and `make bench-peers FLAGS=--quick` only looks whether all can be.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.engine import disk_flushes_per_s
from benchmarks.peers import publish, table
from benchmarks.peers.install import Unavailable
from benchmarks.peers.lineup import PEERS
from benchmarks.peers.measure import QUICK, Measurement, Plan
from benchmarks.peers.peer import ROOT, Peer


def main() -> None:
    """Measure and write."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every peer is stopped
    options.scratch.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        peers = {kind.name: kind(options.scratch) for kind in PEERS if kind.name in options.only}
        told = {name: _install(peer, stack) for name, peer in peers.items()}
        able = [peer for name, peer in peers.items() if not told[name]["missing"]]
        measurement = Measurement(able, options.plan, options.seed)
        results = {
            "date": time.strftime("%Y-%m-%d"),
            "commit": _commit(),
            "machine": _machine(options.scratch),
            "note": options.note,
            "seed": options.seed,
            "plan": options.plan._asdict(),
            "peers": told,
            "failures": measurement.failures,
            "records": measurement.records,
        }
        measurement.run()
        for name, durability in measurement.durability.items():
            told[name]["durability"] = durability
    write(results, options.results)


def write(results: table.Results, directory: Path) -> None:
    """Write the raw rounds, the tables and the plot, and print the tables."""
    directory.mkdir(parents=True, exist_ok=True)
    kept = directory / f"{results['date']}-{results['commit']}.json"
    kept.write_text(json.dumps(results, indent=1) + "\n")
    publish.tell(results, directory)
    print(table.page(results))


def _options() -> argparse.Namespace:
    names = [kind.name for kind in PEERS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short look whether all work")
    parser.add_argument("--rounds", type=int, default=Plan().rounds)
    parser.add_argument("--seconds", type=float, default=Plan().seconds, help="of a figure")
    parser.add_argument("--only", default=",".join(names), help="some of: %(default)s")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the order")
    parser.add_argument("--scratch", type=Path, default=ROOT / ".bench")
    parser.add_argument("--note", default="", help="what else is to be known of this measurement")
    parser.add_argument("--results", type=Path, help="where they go [benchmarks/results]")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(names):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    options.plan = QUICK if options.quick else Plan(options.rounds, seconds=options.seconds)
    kept = options.scratch / "results" if options.quick else ROOT / "benchmarks" / "results"
    options.results = options.results or kept
    print(f"seed {options.seed}", file=sys.stderr)
    return options


def _install(peer: Peer, stack: contextlib.ExitStack) -> dict[str, Any]:
    """Install *peer*, to be closed with *stack*; return what is told of it."""
    told = {"title": peer.title, "beside": peer.beside, "promise": peer.promise, "missing": ""}
    stack.callback(peer.close)
    try:
        told["version"] = peer.install()
        if peer.on_postgres:
            told["postgres"] = peer.postgres_settings()
    except (OSError, RuntimeError, Unavailable, subprocess.SubprocessError) as error:
        told["missing"] = str(error)
    return told


def _commit() -> str:
    git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()


def _machine(scratch: Path) -> dict[str, Any]:
    cpu = Path("/proc/cpuinfo").read_text().partition("model name")[2].split("\n")[0].lstrip("\t: ")
    return {
        "platform": platform.platform(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "flushes_per_s": round(disk_flushes_per_s(str(scratch))),
        "load_average": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()
