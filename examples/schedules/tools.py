import os


def load() -> dict:
    return {"load": os.getloadavg()[0]}


def report(region: str) -> dict:
    return {"text": f"All is well in the {region}."}
