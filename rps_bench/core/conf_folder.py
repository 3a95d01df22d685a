"""Where the package's own yaml files lie."""

from pathlib import Path


def config_folder() -> Path:
    """The folder of the yaml files: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside, beside = package / "conf", package.parent / "conf"
    return inside if inside.is_dir() else beside
