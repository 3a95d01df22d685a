"""What is to be known of a dashboard's package."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """A package that shows runs.

    Attributes:
        title: What messages call it.
        folder: The name of its folder in the results folder.
        worker: The module of its worker process.
    """

    title: str
    folder: str
    worker: str


def sync_command(root: object) -> str:
    """The command that passes on all runs that wait under the folder `root`."""
    return f"python -m rps_bench.tracking sync {root}"
