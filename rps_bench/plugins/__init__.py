"""Methods, networks and datasets of others: from a file, a module or an installed package.

``load_plugins`` is the door for Python, ``plugins=[FILE.py]`` that of the command line. What is
loaded stands in the package's own registries, beside its own; ``rps_bench.core.origins`` knows
whose it is. Importing this package imports no torch; loading a method or a network does.
"""

from collections.abc import Sequence

from rps_bench.plugins.files import load_reference
from rps_bench.plugins.installed import list_installed
from rps_bench.plugins.offers import provide
from rps_bench.plugins.references import read_references

__all__ = ["load_plugins", "provide"]


def load_plugins(plugins: Sequence[str] | None = None) -> None:
    """Make the methods, networks and datasets of plugins known by name.

    A file that has changed since it was loaded is loaded again.

    Args:
        plugins: Files such as ``my_methods.py`` and importable modules; None: what all installed
            packages offer.

    Raises:
        UserError: A plugin that is not there, cannot be imported, offers nothing, or breaks the
            contract of what it offers; one line, and nothing of that plugin is known.
    """
    if plugins is None:
        for group, name in list_installed():
            provide(group, name)
        return
    for reference in read_references(list(plugins)):
        load_reference(reference)
