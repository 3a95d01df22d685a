"""The folder's id: made once, the same for all, never half."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rps_bench.tracking.weights_and_biases.folder_id import FILE_NAME, folder_id


def test_a_folder_keeps_its_id_and_another_has_another(tmp_path: Path) -> None:
    first = folder_id(tmp_path / "a" / "wandb")
    assert folder_id(tmp_path / "a" / "wandb") == first
    assert folder_id(tmp_path / "b") != first
    assert len(first) == 8


def test_many_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(folder_id, [tmp_path / "wandb"] * 64))) == 1


def test_nothing_but_the_id_is_left(tmp_path: Path) -> None:
    folder_id(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_broken_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("")
    with pytest.raises(OSError, match="folder_id holds no id; delete it"):
        folder_id(tmp_path)
