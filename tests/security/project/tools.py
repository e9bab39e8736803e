"""The tool of this project: it holds still, so that its process can be looked at, or it fails."""

import time


def tell(what: str) -> dict[str, str]:
    """Say it, after a moment; fail when it is `fail`."""
    if what == "fail":
        raise ValueError("it failed, as it was told")
    if what == "hold":
        time.sleep(1)
    return {"said": what}
