"""How a registered method looks in a study's figure: as in the figures of records."""

from rps_bench.methods import METHODS
from rps_bench.reports.styles import MethodStyle, method_style


def registered_style(method: str) -> MethodStyle:
    """The style of a method of ``METHODS``."""
    return method_style(method, METHODS[method].kind)
