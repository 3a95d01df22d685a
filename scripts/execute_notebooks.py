"""Execute the notebooks: each percent script becomes an .ipynb with outputs in the same folder.

The script is the source, the .ipynb is for reading. The written file has no times, random ids or
folder names, so that executing again changes only the outputs themselves. Images are reduced to 256
colours, which keeps the files small.

    python scripts/execute_notebooks.py [notebooks/method_explainer.py ...]
"""

import argparse
import base64
import io
import os
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

from rps_bench.core.atomic import write_text

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
TIMEOUT_SECONDS = 600  # of one cell
INLINE = "module://matplotlib_inline.backend_inline"  # inline images, whatever the backend here


def execute(script: Path) -> Path:
    """Execute a percent script in its own folder; return the .ipynb written next to it.

    Raises:
        CellExecutionError: A cell failed; in that case nothing is written.
    """
    notebook = jupytext.read(script, fmt="py:percent")
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT_SECONDS,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],  # it warns that its local sockets are not encrypted
        record_timing=False,
        resources={"metadata": {"path": str(script.parent)}},
    )
    client.execute(env={**os.environ, "MPLBACKEND": INLINE})
    tidy(notebook)
    nbformat.validate(notebook)
    return write_text(script.with_suffix(".ipynb"), nbformat.writes(notebook) + "\n")  # type: ignore[no-untyped-call]


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Set fixed ids and metadata, and shrink the images, in place."""
    notebook.metadata = nbformat.from_dict(METADATA)  # type: ignore[no-untyped-call]
    for index, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{index}", nbformat.from_dict({})  # type: ignore[no-untyped-call]
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = shrink(output.data["image/png"])


def shrink(picture: str) -> str:
    """The base64 PNG reduced to 256 colours, transparency replaced by white."""
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    buffer = io.BytesIO()
    flat.quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def main() -> int:
    """Execute the named scripts, or all of them; return 1 if a cell failed."""
    parser = argparse.ArgumentParser(description="Execute notebooks and keep their outputs.")
    parser.add_argument("scripts", nargs="*", type=Path, help="percent scripts (default: all)")
    for script in parser.parse_args().scripts or sorted(NOTEBOOKS.glob("*.py")):
        try:
            print(execute(script.resolve()))
        except CellExecutionError as error:
            print(f"{script}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
