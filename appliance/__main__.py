"""What `compozy.pyz` and `python -m appliance` run."""

from __future__ import annotations

from appliance.cli.program import program


def main() -> None:
    """Run the command line and end the process with its exit code."""
    program()


if __name__ == "__main__":
    main()
