import time


def ping(host: str, after: float) -> dict:
    time.sleep(after)
    return {"host": host}


def measure(station: str, days: int) -> dict:
    base = sum(map(ord, station)) % 20
    return {"values": [base + day % 5 for day in range(days)]}


def summarize(station: str, values: list) -> dict:
    return {"station": station, "mean": sum(values) / len(values)}


def rank(by: str, stations: dict) -> dict:
    summaries = [child["outputs"]["summarize"] for child in stations["outputs"].values()]
    ordered = sorted(summaries, key=lambda each: each["mean"], reverse=by == "warmest")
    return {"by": by, "station": ordered[0]["station"]}
