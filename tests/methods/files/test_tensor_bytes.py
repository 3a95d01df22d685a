"""The content of a safetensors file: readable as such, and the same bytes every time."""

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load

from rps_bench.methods.files.tensor_bytes import to_safetensors

TENSORS = {"b": torch.arange(3.0), "a": torch.ones(2, 2, dtype=torch.bfloat16)}
TEXTS = {"z": "1", "format": "x-1", "header": '{"quoted":"ä\\n\x01<b>"}', "ä": "", "a": "b"}


def test_texts_are_sorted_so_that_bytes_repeat() -> None:
    # The library has 120 orders of five texts to choose from.
    assert len({to_safetensors(TENSORS, TEXTS) for _ in range(20)}) == 1


def test_any_reader_of_the_format_reads_it(tmp_path: Path) -> None:
    content = to_safetensors(TENSORS, TEXTS)
    tensors = load(content)
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == TEXTS
