"""Models of recorded runs as files for others: every format, and requests that cannot be met."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from rps_bench import export
from rps_bench.export import main
from rps_bench.methods import build_method, load_compressed
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.files.read import read_facts
from rps_bench.models import build_model
from rps_bench.records.models import model_path
from rps_bench.records.store import record_path

RUN_ID = "digits-resnet20-stable_rps-10x-smoke-s0-0123abcd"
FACTS = {"run_id": RUN_ID, "dataset": "digits", "test_accuracy": 91.5}
HAS_ONNX = all(importlib.util.find_spec(package) for package in export.ONNX_PACKAGES)
needs_onnx = pytest.mark.skipif(not HAS_ONNX, reason="needs the onnx extra")


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The results folder of an empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results"


@pytest.fixture
def kept(results: Path) -> CompressedModel:
    """A ResNet-20 two channels wide, kept under the run's id; BatchNorm has seen a batch."""
    model = build_model("resnet20", 10, 2, torch.Generator().manual_seed(0))
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    compressed = build_method("stable_rps", 10).compress(model, (images, torch.arange(8)))
    compressed.train()(images)
    path = model_path(results, "digits", "resnet20", RUN_ID)
    path.parent.mkdir(parents=True)
    compressed.save(path, facts=FACTS)
    return compressed.eval()


def images() -> torch.Tensor:
    return torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(2))


def export_fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Export, which must end in one line on standard error; returns the line."""
    before = sorted(Path().rglob("*"))
    assert main(words) == 2
    assert sorted(Path().rglob("*")) == before
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith("rps_bench: error: ")
    return shown.err


def test_the_kept_file_as_it_is(kept: CompressedModel, results: Path) -> None:
    assert main([f"run_id={RUN_ID}"]) == 0
    path = model_path(results, "digits", "resnet20", RUN_ID)
    assert Path(f"{RUN_ID}.safetensors").read_bytes() == path.read_bytes()


def test_path_and_size_are_printed(kept: CompressedModel, capsys: Any) -> None:
    assert main([f"run_id={RUN_ID}", "to=out/model.safetensors"]) == 0
    size = Path("out/model.safetensors").stat().st_size
    assert capsys.readouterr().out == f"out/model.safetensors: {size} bytes\n"


@pytest.mark.parametrize("storage", ["exact", "fp16", "bf16", "int8"])
def test_another_storage(kept: CompressedModel, storage: str) -> None:
    assert main([f"run_id={RUN_ID}", f"storage={storage}", "to=small"]) == 0
    kept.round_stored(storage)
    loaded = load_compressed("small").eval()
    assert torch.equal(loaded.stored, kept.stored)
    assert torch.equal(loaded(images()), kept(images()))
    assert read_facts("small") == FACTS | {"exported_storage": storage}


def test_plain_weights(kept: CompressedModel) -> None:
    assert main([f"run_id={RUN_ID}", "format=dense"]) == 0
    path = f"{RUN_ID}-dense.safetensors"
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
    plain = build_model("resnet20", 10, 2)
    plain.load_state_dict(load_file(path))
    assert torch.equal(plain.eval()(images()), kept(images()))


@needs_onnx
def test_onnx(kept: CompressedModel, capsys: Any) -> None:
    import onnxruntime

    assert main([f"run_id={RUN_ID}", "format=onnx"]) == 0
    path = Path(f"{RUN_ID}.onnx")
    assert list(Path().glob("*.onnx*")) == [path]
    printed = capsys.readouterr().out
    size, difference = path.stat().st_size, float(printed.split()[-1])
    assert printed.startswith(f"{path}: {size} bytes, largest difference to PyTorch ")
    assert 0 <= difference < 1e-4
    session = onnxruntime.InferenceSession(path)
    for batch in (images(), images()[:1]):
        (logits,) = session.run(["logits"], {"images": batch.numpy()})
        expected = kept(batch).detach()
        torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=0, atol=1e-4)


@needs_onnx
def test_onnx_takes_images_of_the_size_that_was_trained_on(
    kept: CompressedModel, results: Path
) -> None:
    import onnxruntime

    path = model_path(results, "digits", "resnet20", RUN_ID)
    for facts, size in ((FACTS, 32), (FACTS | {"image_size": 16}, 16)):
        kept.save(path, facts=facts)
        assert main([f"run_id={RUN_ID}", "format=onnx"]) == 0
        (images,) = onnxruntime.InferenceSession(f"{RUN_ID}.onnx").get_inputs()
        assert images.shape[1:] == [3, size, size]


@needs_onnx
@pytest.mark.parametrize("size", [12, 0, "16", 16.0, 10**9, None, [16]])
def test_a_file_that_names_a_size_which_its_dataset_lacks(
    kept: CompressedModel, results: Path, size: object, capsys: Any
) -> None:
    path = model_path(results, "digits", "resnet20", RUN_ID)
    kept.save(path, facts=FACTS | {"image_size": size})
    line = export_fails(capsys, f"run_id={RUN_ID}", "format=onnx")
    assert "its image_size must be one of 8, 16, 32, got" in line


@needs_onnx
def test_onnx_that_computes_something_else(
    kept: CompressedModel, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    other = export.to_onnx(build_model("resnet20", 10, 2).eval(), torch.zeros(2, 3, 32, 32))
    monkeypatch.setattr(export, "to_onnx", lambda dense, inputs: other)
    line = export_fails(capsys, f"run_id={RUN_ID}", "format=onnx")
    assert "off PyTorch's" in line


def test_onnx_without_its_packages(
    kept: CompressedModel, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    line = export_fails(capsys, f"run_id={RUN_ID}", "format=onnx")
    assert "pip install 'rps_bench[onnx]'" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "run_id=ID is missing"),
        (RUN_ID, "an option is written key=value, without spaces, got digits"),
        ("--dense", "unrecognized arguments: --dense; options are written key=value, without --"),
        ("run=x", "unknown key run; allowed: run_id, format, storage, results_dir, to"),
        (f"run_id={RUN_ID} format=pt", "format must be one of compressed, dense, onnx, got pt"),
        (f"run_id={RUN_ID} storage=fp8", "storage must be one of exact, fp16, bf16, int8, got fp8"),
        (f"run_id={RUN_ID} storage=fp16 format=dense", "storage belongs to format=compressed"),
        (f"run_id={RUN_ID} to=", "to must be a non-empty text"),
        (f"run_id={RUN_ID} results_dir=", "results_dir must be a non-empty text"),
        (f"run_id={RUN_ID} results_dir=other", f"no run {RUN_ID} is recorded in other"),
        (f"run_id={RUN_ID} to=results", "results cannot be written"),
        ("run_id=../x", "run_id '../x' cannot name a file"),
        ("run_id=*", "cannot name a file"),
    ],
)
def test_bad_words(kept: CompressedModel, words: str, message: str, capsys: Any) -> None:
    assert message in export_fails(capsys, *words.split())


def test_the_kept_file_is_never_replaced(kept: CompressedModel, results: Path, capsys: Any) -> None:
    path = model_path(results, "digits", "resnet20", RUN_ID)
    line = export_fails(capsys, f"run_id={RUN_ID}", "storage=int8", f"to={path}")
    assert "own file" in line
    assert read_facts(path) == FACTS


def test_values_beyond_fp16(kept: CompressedModel, results: Path, capsys: Any) -> None:
    with torch.no_grad():
        kept.stored[0] = 1e6
    kept.save(model_path(results, "digits", "resnet20", RUN_ID))
    assert "storage=fp16 ends below" in export_fails(capsys, f"run_id={RUN_ID}", "storage=fp16")


def test_a_broken_file(kept: CompressedModel, results: Path, capsys: Any) -> None:
    path = model_path(results, "digits", "resnet20", RUN_ID)
    path.write_bytes(path.read_bytes()[:-10])
    assert path.name in export_fails(capsys, f"run_id={RUN_ID}")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("completed", "recorded without its file: the same command with keep_model=true"),
        ("diverged", f"run {RUN_ID} diverged: it left no model"),
    ],
)
def test_a_run_without_its_file(
    status: str, message: str, results: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    path = record_path(results, "digits", "resnet20", RUN_ID)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"status": status, "config": {"method": "mag"}}))
    monkeypatch.setattr("rps_bench.records.store.check_record", lambda record: None)
    assert message in export_fails(capsys, f"run_id={RUN_ID}")


def test_help(capsys: Any) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    assert "run_id=ID" in capsys.readouterr().out
