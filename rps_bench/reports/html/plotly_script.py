"""The script of plotly as text to embed, from the installed package: no network is needed."""

from importlib import import_module

from rps_bench.core.errors import UserError


def read_plotly_script() -> str:
    """The source of plotly.js (about 4.8 million characters), safe inside a script element.

    Raises `UserError` if plotly is not installed.
    """
    try:
        offline = import_module("plotly.offline")
    except ImportError as error:
        raise UserError(
            "report.html needs plotly: python -m pip install 'rps_bench[report]'"
        ) from error
    source: str = offline.get_plotlyjs()
    # The present script contains neither; inside a string literal the backslash changes nothing.
    return source.replace("</script", "<\\/script").replace("<!--", "<\\!--")
