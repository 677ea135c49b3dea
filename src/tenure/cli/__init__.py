"""`tenure` on the command line. One module for each group of commands; `options.py` makes the flags, `output.py`
prints."""

import sys


def main() -> None:
    """What the `tenure` command runs."""
    try:
        from tenure.cli.commands import tenure
    except ModuleNotFoundError as missing:
        sys.exit(
            f"The command line needs more than the library ({missing.name} is missing): pip install tenure[server]"
        )
    tenure()
