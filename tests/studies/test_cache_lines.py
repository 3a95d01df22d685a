import math
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest
import torch

from rps_bench.core.errors import UserError
from rps_bench.methods.layout import Layout
from rps_bench.studies import build_study
from rps_bench.studies.cache_lines import CacheLines, find_slots
from rps_bench.studies.gathers import (
    count_lines,
    count_lines_at_best,
    number_runs,
    number_tiles,
    one_thread,
    time_gathers,
)
from tests.studies.conftest import draw, rows_of

METHODS = ("stable_rps", "rpg", "hashednet", "roast")
SMALL: Layout = (("conv.weight", (20, 7, 3, 3)), ("fc.weight", (10, 33)))  # n = 1590
SQUARE: Layout = (("fc.weight", (256, 256)),)


def count_by_sets(layout: Layout, slots: list[int], side: int) -> list[int]:
    """The lines of each tile in the order of their first weights, by going through all weights."""
    lines, weight = defaultdict(set), 0
    for name, shape in layout:
        for row in range(shape[0]):
            for column in range(math.prod(shape[1:])):
                lines[name, row // side, column // side].add(slots[weight] * 4 // 64)
                weight += 1
    return [len(lines[key]) for key in sorted(lines)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("compression", [1.0, 3.3, 6.0])
def test_counts_against_sets(method: str, compression: float) -> None:
    slots, _ = find_slots(method, compression, 3, SMALL)
    for side in (1, 4, 16):
        counts = count_lines(slots, number_tiles(SMALL, side)).tolist()
        assert counts == count_by_sets(SMALL, slots.tolist(), side)
    for length in (1, 10, 64, 5000):
        runs = [slots[start : start + length] for start in range(0, 1590, length)]
        expected = [len({slot * 4 // 64 for slot in run.tolist()}) for run in runs]
        assert count_lines(slots, number_runs(1590, length)).tolist() == expected


def test_dense_weights_by_hand() -> None:
    slots = torch.arange(48)
    assert count_lines(slots, number_runs(48, 24)).tolist() == [2, 2]
    assert count_lines(slots, number_runs(48, 8)).tolist() == [1] * 6
    assert count_lines(slots, number_runs(48, 20)).tolist() == [2, 2, 1]  # 0-19, 20-39, 40-47
    assert count_lines_at_best(number_runs(48, 20)).tolist() == [2, 2, 1]
    tiles = number_tiles((("fc.weight", (4, 12)),), 4)  # rows of 12: 4 rows in 3 lines
    assert count_lines(slots, tiles).tolist() == [3, 3, 3]
    assert count_lines_at_best(tiles).tolist() == [1, 1, 1]


def test_a_run_of_randomfold_is_a_run_of_the_repository() -> None:
    """At c = 1 every run but the one at the rotation's end is one run, on its lines or off them."""
    length = 256
    slots, m = find_slots("stable_rps", 1.0, 0, SQUARE)
    counts = count_lines(slots, number_runs(m, length)).tolist()
    starts = slots[::length].tolist()
    for start, count in zip(starts, counts, strict=True):
        if start + length <= m:
            assert count == length // 16 + (start % 16 != 0)
        else:
            assert count <= length // 16 + 2
    slots, m = find_slots("stable_rps", 10.0, 0, SQUARE)
    pieces = 4  # a run may cross one fold's end, and turn around once in either fold
    assert count_lines(slots, number_runs(SQUARE[0][1][0] ** 2, length)).max() <= 16 + pieces


def test_a_tile_of_roast_is_a_run_of_the_repository() -> None:
    slots, _ = find_slots("roast", 10.0, 0, SQUARE)
    tiles = number_tiles(SQUARE, 16)
    starts = slots[:: 16 * 256].tolist()  # of the tiles in the first column
    counts = count_lines(slots, tiles).view(16, 16)[:, 0].tolist()
    assert counts == [16 + (start % 16 != 0) for start in starts]


@pytest.mark.parametrize("compression", [1.0, 10.0, 100.0])
def test_scattered_maps_touch_what_chance_has_it(compression: float) -> None:
    """Balls thrown into lines; for rpg drawn without putting back, as long as a fold lasts."""
    length = 64
    for method in ("hashednet", "rpg"):
        slots, m = find_slots(method, compression, 0, SQUARE)
        num_lines = m / 16
        if method == "hashednet":
            unread = (1 - 1 / num_lines) ** length
        else:
            unread = math.exp(
                sum(math.log(1 - 16 / (m - drawn)) for drawn in range(length))
            )  # no slot of a line among those drawn
        mean = count_lines(slots, number_runs(256**2, length)).double().mean().item()
        assert mean == pytest.approx(num_lines * (1 - unread), rel=0.02)


def test_times_are_one_for_each_repeat_on_one_thread() -> None:
    torch.set_num_threads(2)
    with one_thread():
        assert torch.get_num_threads() == 1
        times = time_gathers([torch.arange(100), torch.zeros(30).long()], [100, 1], 1000, 3)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert times.shape == (2, 3)
    assert times.isfinite().all()


@pytest.fixture(scope="module")
def study() -> CacheLines:
    return CacheLines(
        ("resnet20",), METHODS, (1.0, 100.0, 2000.0), (16,), (256,), (8, 10), 10, 2, 10, 0
    )


@pytest.fixture(scope="module")
def table(study: CacheLines) -> pd.DataFrame:
    return study.measure(Path("unused"))


def test_resnet20(table: pd.DataFrame) -> None:
    """270,896 weights are 1059 runs of 256; 16 lines hold one at best."""
    lines = table[table["part"] == "lines"]
    runs = lines[lines["block"] == "run of 256"].set_index(["method", "compression"])
    assert set(runs["num_blocks"]) == {1059}
    assert runs.loc[("dense", 1.0), "relative_lines"] == 1
    assert runs.loc[("stable_rps", 1.0), "relative_lines"] == pytest.approx(17 / 16, abs=0.001)
    assert runs.loc[("hashednet", 1.0), "relative_lines"] == pytest.approx(16, rel=0.02)
    tiles = lines[lines["block"] == "tile 16 \N{MULTIPLICATION SIGN} 16"]
    tiles = tiles.set_index(["method", "compression"])
    assert tiles.loc[("roast", 100.0), "relative_lines"] == pytest.approx(17 / 16, abs=0.01)
    assert tiles.loc[("stable_rps", 1.0), "relative_lines"] == pytest.approx(2, abs=0.02)
    assert ("roast", 2000.0) not in tiles.index  # no room for a tile


def test_parts_of_the_table(table: pd.DataFrame) -> None:
    assert dict(table["part"].value_counts()) == {
        "lines": 2 * (1 + 11), "networks": 1 + 11, "sizes": 2 * 5,
    }  # fmt: skip
    for row in rows_of(table[table["part"] != "lines"]):
        assert row["ns_low"] <= row["ns_per_weight"] <= row["ns_high"]
    assert list(table[table["part"] == "sizes"]["theta_bytes"].unique()) == [1024, 4096]


def test_figure(study: CacheLines) -> None:
    figure = draw(study)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [
        "ResNet-20, tile 16 \N{MULTIPLICATION SIGN} 16", "ResNet-20, run of 256",
        "ResNet-20, time of a gather", "Time of a gather by size of the repository",
    ]  # fmt: skip
    for axes in figure.axes:
        assert {text.get_text() for text in axes.texts} >= {"dense", *METHODS}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("methods", ["mag"], "methods must be one of stable_rps, roast, hashednet, rpg, got mag"),
        ("tile_sides", [0], "tile_sides must be a whole number from 1 up, got 0"),
        ("run_lengths", [], r"run_lengths must be a list with at least one value, got \[\]"),
        ("log2_sizes", [40], "log2_sizes must be a whole number from 8 to 30, got 40"),
        ("repeats", 0, "repeats must be a whole number from 1 up, got 0"),
    ],
)
def test_bad_options(option: str, value: object, message: str) -> None:
    options = {
        "archs": ["resnet20"], "methods": ["rpg"], "compressions": [1.0], "tile_sides": [16],
        "run_lengths": [256], "log2_sizes": [10], "log2_reads": 10, "repeats": 1,
        "num_classes": 10, "seed": 0,
    }  # fmt: skip
    with pytest.raises(UserError, match=message):
        build_study("cache_lines", **(options | {option: value}))
