"""What compressed models cost when used: the same outputs in every way; a table, and a figure."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.costs.macs import measure_macs
from rps_bench.inference.__main__ import main
from rps_bench.inference.csr import CsrConv2d, CsrLinear, to_csr
from rps_bench.inference.measure import COLUMNS, measure_inference
from rps_bench.inference.options import Options, read_options
from rps_bench.inference.ways import (
    WAYS,
    build_compressed,
    build_dense,
    check_outputs,
    narrow_to_bytes,
)
from rps_bench.methods.files.write import to_bytes
from rps_bench.methods.layout import flatten_weights
from rps_bench.methods.selection import store_everything
from rps_bench.models import ARCHITECTURES

KEYS = ["method", "way", "compression", "batch"]


def prune(layer: nn.Module, share: float) -> nn.Module:
    """Set that share of a layer's weights to zero."""
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    with torch.no_grad():
        weight[torch.rand_like(weight) < share] = 0.0
    return layer


@pytest.mark.parametrize("batch", [1, 3, 70])  # 70 images of 6 x 5 are more than one chunk
@pytest.mark.parametrize("share", [0.0, 0.9, 1.0])
@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 5, 3, padding=1, bias=False),
        nn.Conv2d(3, 5, (3, 2), stride=(2, 1), padding=(0, 2), dilation=(1, 2)),
        nn.Conv2d(3, 5, 1, stride=2),
    ],
)
def test_sparse_convolutions_give_the_dense_output(
    layer: nn.Conv2d, share: float, batch: int
) -> None:
    torch.manual_seed(0)
    prune(layer, share)
    images = torch.randn(batch, 3, 6, 5)
    with torch.inference_mode():
        torch.testing.assert_close(CsrConv2d(layer)(images), layer(images))


@pytest.mark.parametrize("has_bias", [True, False])
def test_sparse_linear_layers_give_the_dense_output(has_bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(7, 4, has_bias)
    prune(layer, 0.6)
    inputs = torch.randn(5, 7)
    with torch.inference_mode():
        torch.testing.assert_close(CsrLinear(layer)(inputs), layer(inputs))


def test_sparse_weights_store_the_kept_ones_only() -> None:
    compressed = build_compressed(build_dense("resnet20", 4), "mag", 10)
    layers = [
        layer
        for layer in to_csr(compressed.to_dense()).modules()
        if isinstance(layer, CsrConv2d | CsrLinear)
    ]
    assert len(layers) == 22  # 19 convolutions of 3x3, two shortcuts, the classifier
    assert {layer.weight.layout for layer in layers} == {torch.sparse_csr}
    assert sum(layer.weight.values().numel() for layer in layers) == compressed.stored.numel()


def test_layers_without_a_sparse_form_stay() -> None:
    model = nn.Sequential(
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
        nn.Sequential(nn.Conv2d(4, 4, 3)),
    )
    images = torch.randn(2, 4, 6, 6)
    with torch.inference_mode():
        wanted = model(images)
        sparse = to_csr(model)
        torch.testing.assert_close(sparse(images), wanted)
    found = [type(layer).__name__ for layer in sparse.modules()]
    assert found == ["Sequential", "Conv2d", "Conv2d", "Conv2d", "Sequential", "CsrConv2d"]


def test_a_single_layer_becomes_sparse() -> None:
    assert isinstance(to_csr(nn.Linear(3, 2)), CsrLinear)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize(
    ("way", "method"), [(name, method) for name, way in WAYS.items() for method in way.methods]
)
def test_every_way_gives_the_outputs_of_the_recovered_network(
    way: str, method: str, arch: str
) -> None:
    compression = 1 if method == "dense" else 3
    compressed = build_compressed(build_dense(arch, 8), method, compression)
    images = torch.randn(9, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    check_outputs(WAYS[way].prepare(compressed), compressed.to_dense(), images)


def test_other_outputs_are_refused() -> None:
    model = build_dense("resnet20", 2)
    other = store_everything(model).to_dense()
    with torch.no_grad():
        other.get_parameter("classifier.weight").mul_(1.01)
    with pytest.raises(AssertionError):
        check_outputs(other, model, torch.randn(2, 3, 32, 32))


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("compression", [2, 5])
def test_small_is_the_widest_within_the_bytes_of_sharing(arch: str, compression: float) -> None:
    model = build_dense(arch, 8)
    size = len(to_bytes(build_compressed(model, "stable_rps", compression)))
    small = build_compressed(model, "small", compression)
    width = small.skeleton.width
    assert isinstance(width, int)
    assert 1 <= width < 8
    assert len(to_bytes(small)) <= size
    assert len(to_bytes(store_everything(build_dense(arch, width + 1)))) > size


def test_small_without_compression_is_dense() -> None:
    model = build_dense("resnet20", 3)
    small = build_compressed(model, "small", 1)
    assert torch.equal(small.stored, flatten_weights(model))


def test_no_width_fits_too_few_bytes() -> None:
    with pytest.raises(UserError, match="no width"):
        narrow_to_bytes(build_dense("resnet20", 4), 100)


def test_options_have_defaults_and_read_lists() -> None:
    assert read_options([]) == Options()
    words = ["arch=vgg11", "compression=1,3.16,10", "batch=4", "threads=2", "results_dir=a/b"]
    assert read_options(words) == Options(
        arch=("vgg11",), compression=(1, 3.16, 10), batch=(4,), threads=2, results_dir=Path("a/b")
    )
    assert read_options(["batch=8,1,8"]).batch == (8, 1)


@pytest.mark.parametrize(
    "word",
    [
        "arch=lenet", "arch=", "compression=0.5", "compression=ten", "compression=nan", "batch=0",
        "batch=1.5", "batch=1,,2", "threads=0", "seconds=0", "seconds=inf", "width=0", "colour=red",
        "image_size=8", "image_size=0", "image_size=small", "image_size=100000", "batch",
        "results_dir=",
    ],
)  # fmt: skip
def test_bad_words_end_in_one_line(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.strip().splitlines()) == 1


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small measurement on small images through the door."""
    folder = tmp_path_factory.mktemp("results")
    words = ["arch=resnet20", "compression=2,40", "batch=1,3", "width=2", "seconds=0.001"]
    assert main([*words, "image_size=16", f"results_dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def table(results: Path) -> pd.DataFrame:
    return pd.read_csv(results / "inference.csv")


def test_a_row_per_network_way_and_batch(table: pd.DataFrame) -> None:
    assert list(table) == list(COLUMNS)
    table = table[table["device"] == "cpu"]
    found = {tuple(row) for row in table[KEYS].itertuples(index=False)}
    expected = {
        (method, name, compression, batch)
        for name, way in WAYS.items()
        for method in way.methods
        for compression in ((1.0,) if method == "dense" else (2.0, 40.0))
        for batch in (1, 3)
        # A tile of roast, and the file of one channel, are larger than what 40x leaves.
        if not (method in ("roast", "small") and compression == 40)
    }
    assert found == expected
    assert len(table) == len(found)


def test_rows_hold_numbers_that_can_be(table: pd.DataFrame) -> None:
    assert (table["threads"] == 1).all()
    assert (table["precision"] == "fp32").all()
    assert (table["low_ms"] <= table["median_ms"]).all()
    assert (table["median_ms"] <= table["high_ms"]).all()
    assert (table[["low_ms", "load_ms", "num_runs"]] > 0).all(axis=None)
    assert (table["peak_memory_bytes"] >= 0).all()
    assert table[list(COLUMNS)].notna().all(axis=None)


def test_rows_describe_the_network(table: pd.DataFrame) -> None:
    dense = table[table["way"] == "dense"].iloc[0]
    sharing, pruning = table[table["method"] == "stable_rps"], table[table["method"] == "mag"]
    assert dense["true_compression"] == 1
    network = store_everything(build_dense("resnet20", 2))
    assert dense["macs"] == measure_macs(network, 16)["macs"]
    assert set(table["image_size"]) == {16}
    assert set(sharing["macs"]) == set(pruning["macs"]) == {dense["macs"]}
    assert (sharing["effective_macs"] == dense["macs"]).all()
    assert (pruning["effective_macs"] < dense["macs"]).all()
    for compression, rows in sharing.groupby("compression"):
        (found,) = set(rows["file_bytes"])
        network = build_compressed(
            build_dense("resnet20", 2), "stable_rps", float(str(compression))
        )
        assert found == len(to_bytes(network))
    small = table[table["method"] == "small"]
    assert (small["macs"] < dense["macs"]).all()
    assert small["file_bytes"].max() <= sharing[sharing["compression"] == 2]["file_bytes"].max()


def test_the_description_tells_options_and_hardware(results: Path) -> None:
    description = json.loads((results / "inference.json").read_text())
    assert description["options"]["batch"] == [1, 3]
    assert description["options"]["width"] == 2
    assert "results_dir" not in description["options"]
    assert description["provenance"]["num_threads"] == 1
    assert description["provenance"]["versions"]["torch"]


def test_the_figure_comes_in_three_files(results: Path) -> None:
    names = {path.name for path in (results / "plots").iterdir()}
    assert names == {"inference.png", "inference.svg", "inference.pdf"}


def test_compressions_that_cannot_be_are_noted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rps_bench.inference.measure.measure_apart", lambda job: [])
    monkeypatch.setattr("rps_bench.inference.measure.COLUMNS", ())
    measure_inference(Options(("resnet20",), (40.0,), width=2))
    notes = capsys.readouterr().err.splitlines()
    assert [note.split(":")[0] for note in notes] == ["note", "note"]
    assert "roast" in notes[0]
    assert "small" in notes[1]
