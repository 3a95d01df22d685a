"""``python -m rps_bench.export run_id=ID``: the model of a recorded run as a file for others.

For runs that kept their compressed file (``keep_model=true``): that file, also with fewer bits, or
the dense network as plain weights or as ONNX, for which nobody needs this package.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_safetensors
from torch import nn

from rps_bench.core import checks
from rps_bench.core.arguments import Parser
from rps_bench.core.atomic import write_bytes
from rps_bench.core.console import say
from rps_bench.core.errors import UserError
from rps_bench.core.nearest import no_pair, unknown_name
from rps_bench.core.output import command
from rps_bench.core.plain_attention import plain_attention
from rps_bench.core.shown import show
from rps_bench.core.storages import STORAGES
from rps_bench.datasets.info import DATASETS, DatasetInfo
from rps_bench.methods import load_compressed
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.files.read import read_facts
from rps_bench.methods.files.write import to_bytes
from rps_bench.plugins import load_plugins, provide
from rps_bench.records.models import MODELS_FOLDER, model_path
from rps_bench.records.store import RECORDS_FOLDER, find_record, record_path

COMPRESSED, DENSE, ONNX = "compressed", "dense", "onnx"
ENDINGS = {COMPRESSED: ".safetensors", DENSE: "-dense.safetensors", ONNX: ".onnx"}  # of file names
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
PATHS = ("results_dir", "to")
NUM_CHECKED = 8  # images
TOLERANCE = 1e-4  # of ONNX Runtime's logits, times the largest logit where that is above 1


@dataclass(frozen=True)
class Export:
    """What to write where; as words, ``key=value`` each.

    Attributes:
        run_id: A recorded run, as its record's file is called.
        format: compressed, dense or onnx.
        storage: How theta is written in a compressed file; None: the kept file as it is.
        results_dir: Where the run was recorded.
        to: The file; None: a name after the run in the current folder.
        plugins: Files and modules that the run's method, network or dataset came from.
    """

    run_id: str
    format: str = COMPRESSED
    storage: str | None = None
    results_dir: str = "results"
    to: str | None = None
    plugins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checks.choice("format", self.format, tuple(ENDINGS))
        if self.storage is not None:
            checks.choice("storage", self.storage, STORAGES)
            if self.format != COMPRESSED:
                raise UserError(f"storage belongs to format=compressed, not to {self.format}")

    @property
    def path(self) -> Path:
        """The file to write."""
        return Path(self.to or f"{self.run_id}{ENDINGS[self.format]}")


@command
def main(words: Sequence[str] | None = None) -> int:
    """Write the file and say what it is; returns the exit status."""
    export = read_words(_parse(words))
    content, remark = make_content(export)
    try:
        write_bytes(export.path, content)
    except OSError as error:
        raise UserError(f"{export.path} cannot be written ({error.strerror})") from error
    say(f"{export.path}: {len(content)} bytes{remark}")
    return 0


def read_words(words: Sequence[str]) -> Export:
    """The export that ``key=value`` words ask for.

    Raises:
        UserError: An unknown key, a value that is not allowed, or no run.
    """
    allowed = [field.name for field in fields(Export)]
    given: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise no_pair(word, allowed)
        if key not in allowed:
            raise unknown_name("key", key, allowed)
        given[key] = checks.path(key, value) if key in PATHS else value
        if key == "plugins":
            given[key] = tuple(name for name in value.strip("[]").split(",") if name)
    if "run_id" not in given:
        raise UserError("run_id=ID is missing: which run's model to write")
    return Export(**given)


def make_content(export: Export) -> tuple[bytes, str]:
    """The bytes of the file, and what to say of them beside their number.

    Raises:
        UserError: There is no such model, or it cannot be written so.
    """
    if export.format == ONNX:
        _require_onnx()
    dataset, path = find_model(export)
    if export.path.resolve() == path.resolve():
        raise UserError(f"{export.path} is the run's own file: name another with to=PATH")
    load_plugins(export.plugins)
    provide("arch", path.parent.name)
    compressed = load_compressed(path)
    if export.format == COMPRESSED:
        return _write_compressed(path, compressed, export.storage), ""
    dense = compressed.to_dense().eval()
    if export.format == DENSE:
        return to_safetensors(dense.state_dict(), {"format": "pt"}), ""
    size = _find_image_size(path, _find_info(dataset))
    content = to_onnx(dense, torch.zeros(2, 3, size, size))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(NUM_CHECKED, 3, size, size, generator=generator)
    difference = compare_onnx(content, dense, images)
    return content, f", largest difference to PyTorch {difference:.1e}"


def find_model(export: Export) -> tuple[str, Path]:
    """The dataset and the kept compressed file of the run.

    Raises:
        UserError: The run is not recorded, or was without its file.
    """
    for dataset, arch in _find_places(export, MODELS_FOLDER, ".safetensors"):
        return dataset, model_path(export.results_dir, dataset, arch, export.run_id)
    for dataset, arch in _find_places(export, RECORDS_FOLDER, ".json"):
        record = find_record(export.results_dir, dataset, arch, export.run_id)
        if record is None:
            continue
        if record["status"] != "completed":
            raise UserError(f"run {export.run_id} {record['status']}: it left no model")
        raise UserError(
            f"run {export.run_id} was recorded without its file: "
            "the same command with keep_model=true keeps it"
        )
    raise UserError(f"no run {export.run_id} is recorded in {export.results_dir}")


def _find_places(export: Export, folder: str, ending: str) -> list[tuple[str, str]]:
    """Each dataset and architecture with a file of the run, whether or not they are known here."""
    record_path(export.results_dir, "any", "any", export.run_id)  # refuses what is no run's name
    files = (Path(export.results_dir) / folder).glob(f"*/*/{export.run_id}{ending}")
    return sorted((path.parts[-3], path.parts[-2]) for path in files if path.is_file())


def _find_info(dataset: str) -> DatasetInfo:
    """The facts of a dataset that may be a plugin's."""
    provide("dataset", dataset)
    if dataset not in DATASETS:
        raise UserError(f"the run's dataset {dataset} is of a plugin: name it with plugins=[...]")
    return DATASETS[dataset]


def _find_image_size(path: Path, info: DatasetInfo) -> int:
    """Height and width of the images that a kept file's network was trained on."""
    size = read_facts(path).get("image_size", info.image_size)
    if type(size) is not int or size not in info.sizes:
        allowed = ", ".join(map(str, info.sizes))
        raise UserError(f"{path}: its image_size must be one of {allowed}, got {show(size)}")
    return size


def to_onnx(dense: nn.Module, inputs: torch.Tensor) -> bytes:
    """The network as ONNX, of any batch: ``images`` -> ``logits`` (batch, num_classes).

    Args:
        dense: A plain network in eval mode.
        inputs: (B, ...) such as it takes, B at least 2: images, or indices of a table.
    """
    with plain_attention():
        program = torch.onnx.export(
            dense,
            (inputs,),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


@torch.no_grad()
def compare_onnx(content: bytes, dense: nn.Module, inputs: torch.Tensor) -> float:
    """The largest difference between the logits of ONNX Runtime and of PyTorch.

    Args:
        content: What ``to_onnx`` gave.
        dense: The network.
        inputs: (B, ...) to compare them on.

    Raises:
        UserError: It is too large to come from rounding.
    """
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": inputs.numpy()})
    with plain_attention():
        logits = dense(inputs)
    difference = float((torch.from_numpy(found) - logits).abs().max())
    allowed = TOLERANCE * max(1.0, float(logits.abs().max()))
    if not difference <= allowed:  # nor NaN
        raise UserError(
            f"ONNX Runtime's logits are {difference:.1e} off PyTorch's, more than {allowed:.1e}"
        )
    return difference


def _write_compressed(path: Path, compressed: CompressedModel, storage: str | None) -> bytes:
    """The kept file as it is, or written anew with a storage, which its facts then name."""
    if storage is None:
        return path.read_bytes()
    return to_bytes(compressed, storage, read_facts(path) | {"exported_storage": storage})


def _require_onnx() -> None:
    missing = [package for package in ONNX_PACKAGES if find_spec(package) is None]
    if missing:
        raise UserError(f"format=onnx needs {', '.join(missing)}: pip install 'rps_bench[onnx]'")


def _parse(words: Sequence[str] | None) -> list[str]:
    """The words that are no flags."""
    parser = Parser(
        prog="python -m rps_bench.export",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Write the model of a run that was recorded with keep_model=true to a file.",
        epilog="run_id=ID       a recorded run\n"
        "format=         compressed (default); dense: plain weights; onnx\n"
        "storage=        exact, fp16, bf16 or int8; only for compressed, default: as it was kept\n"
        "results_dir=    default: results\n"
        "to=             the file; default: named after the run, in the current folder\n"
        "plugins=        files and modules of your own that the run needed, such as [my.py]",
    )
    parser.add_argument("words", nargs="*", metavar="key=value")
    given: list[str] = parser.parse_args(words).words
    return given


if __name__ == "__main__":
    sys.exit(main())
