"""Figures within the page."""

import base64

from rps_bench.reports.figures.files import PlannedFigure
from rps_bench.reports.figures.rendering import render
from rps_bench.reports.html.encoding import escape


def embed(figure: PlannedFigure, words: str) -> str:
    """A figure as an image within the page: in one, no script of an SVG would run.

    It is drawn now, with `figure_style` in force; ``words`` say what it shows.
    """
    image = base64.b64encode(render(figure.draw(), "svg")).decode("ascii")
    return (
        f'<p><img class="figure" alt="{escape(f"{figure.name}: {words}")}"'
        f' src="data:image/svg+xml;base64,{image}"></p>'
    )
