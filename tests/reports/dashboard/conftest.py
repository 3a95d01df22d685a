"""The home of the tracking tests, for what reads and sends their runs."""

from tests.tracking.conftest import home

__all__ = ["home"]
