"""The four hashed maps: golden slots, loads, bijections, and loops that recompute them."""

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rps_bench.core.seeds import derive_key
from rps_bench.methods.layout import Layout, layout_of, num_weights
from rps_bench.methods.sharing import randomfold, sharing_map
from rps_bench.methods.sharing.balanced import BalancedMap
from rps_bench.methods.sharing.feistel import permute
from rps_bench.methods.sharing.hashed import HashedMap
from rps_bench.methods.sharing.hashing import hash_below
from rps_bench.methods.sharing.randomfold import RandomFoldMap
from rps_bench.methods.sharing.sharing_map import SharingMap
from rps_bench.methods.sharing.tiles import TiledMap
from rps_bench.models import build_model

GOLDEN_LAYOUT: Layout = (("a.weight", (3, 5)), ("b.weight", (2, 3, 2, 1)))  # n = 15 + 12
GOLDEN_SCALES = (0.5, 2.0)
BALANCED_KINDS: tuple[type[SharingMap], ...] = (RandomFoldMap, BalancedMap)

small = st.integers(1, 6)
shapes = st.one_of(st.tuples(small, small), st.tuples(small, small, small, st.integers(1, 3)))
seeds = st.integers(0, 2**31)


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """One to five small layers."""
    drawn = draw(st.lists(shapes, min_size=1, max_size=5))
    return tuple((f"{place}.weight", shape) for place, shape in enumerate(drawn))


@st.composite
def layouts_and_sizes(draw: st.DrawFn) -> tuple[Layout, int]:
    """A layer table and an m from 1 to n."""
    layout = draw(layouts())
    return layout, draw(st.integers(1, num_weights(layout)))


def ones(layout: Layout) -> Sequence[float]:
    return [1.0] * len(layout)


# The lists come from a program on Python's own integers that shares no code with the package.
@pytest.mark.parametrize(
    ("weight_map", "slots", "signs"),
    [
        (
            RandomFoldMap(GOLDEN_LAYOUT, GOLDEN_SCALES, 10, 7),
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 0, 1],
            "-+-++++++----+------+-++-+-",
        ),
        (
            HashedMap(GOLDEN_LAYOUT, GOLDEN_SCALES, 10, 7),
            [4, 2, 2, 7, 7, 2, 0, 2, 2, 5, 7, 4, 3, 9, 6, 5, 1, 1, 1, 8, 8, 0, 3, 9, 3, 5, 5],
            "+---+---++--+---+-+--+-++++",
        ),
        (
            BalancedMap(GOLDEN_LAYOUT, GOLDEN_SCALES, 10, 7),
            [5, 9, 3, 7, 8, 1, 6, 2, 4, 0, 9, 7, 5, 2, 1, 3, 6, 4, 8, 0, 9, 1, 6, 0, 7, 5, 2],
            "-+--+++-+-+-++-++++-----++-",
        ),
        (
            TiledMap(GOLDEN_LAYOUT, GOLDEN_SCALES, 20, 7, 3),
            [3, 4, 5, 0, 1, 6, 7, 8, 2, 3, 9, 10, 11, 4, 5, 7, 8, 9, 0, 1, 2, 10, 11, 12, 3, 4, 5],
            "++-+++-+-+--+--++----++++-+",
        ),
    ],
    ids=["randomfold", "hashed", "balanced", "tiled"],
)
def test_golden_slots_and_signs(weight_map: SharingMap, slots: list[int], signs: str) -> None:
    expected = [1.0 if sign == "+" else -1.0 for sign in signs]
    assert weight_map.slots().tolist() == slots
    assert weight_map.slots().dtype == torch.int64
    assert weight_map.signs().tolist() == expected
    scales = [0.5] * 15 + [2.0] * 12
    signed = [scale * sign for scale, sign in zip(scales, expected, strict=True)]
    assert weight_map.coefficients().tolist() == signed


@pytest.mark.parametrize("kind", BALANCED_KINDS)
@given(layout_and_size=layouts_and_sizes(), seed=seeds)
def test_loads_are_optimal(
    kind: type[SharingMap], layout_and_size: tuple[Layout, int], seed: int
) -> None:
    layout, m = layout_and_size
    n = num_weights(layout)
    loads = torch.bincount(kind(layout, ones(layout), m, seed).slots(), minlength=m)
    assert len(loads) == m
    assert set(loads.tolist()) <= {n // m, -(-n // m)}


@pytest.mark.parametrize("kind", BALANCED_KINDS)
@given(layout=layouts(), seed=seeds)
def test_compression_one_is_a_bijection(kind: type[SharingMap], layout: Layout, seed: int) -> None:
    n = num_weights(layout)
    slots = kind(layout, ones(layout), n, seed).slots()
    assert slots.sort().values.tolist() == list(range(n))


@pytest.mark.parametrize("kind", BALANCED_KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_compression_one_is_a_bijection_of_a_whole_resnet(
    kind: type[SharingMap], seed: int
) -> None:
    with torch.device("meta"):
        layout = layout_of(build_model("resnet20"))
    slots = kind(layout, ones(layout), 270_896, seed).slots()
    assert torch.equal(slots.sort().values, torch.arange(270_896))


@given(layout_and_size=layouts_and_sizes(), seed=seeds)
def test_randomfold_is_its_formula(layout_and_size: tuple[Layout, int], seed: int) -> None:
    layout, m = layout_and_size
    weight_map = RandomFoldMap(layout, ones(layout), m, seed)
    n, key = num_weights(layout), derive_key(seed, "randomfold", "slot")
    rotations = hash_below(key, torch.arange(n // m + 1), m).tolist()
    expected = [(rotations[i // m] + i % m) % m for i in range(n)]
    assert weight_map.slots().tolist() == expected


@given(layout_and_size=layouts_and_sizes(), seed=seeds)
def test_hashed_slots_are_hashes(layout_and_size: tuple[Layout, int], seed: int) -> None:
    layout, m = layout_and_size
    slots = HashedMap(layout, ones(layout), m, seed).slots()
    assert 0 <= int(slots.min()) <= int(slots.max()) < m
    key = derive_key(seed, "hashed", "slot")
    assert slots.tolist() == hash_below(key, torch.arange(num_weights(layout)), m).tolist()


@given(layout=layouts(), seed=seeds, tile=st.integers(1, 5), spare=st.integers(0, 40))
def test_tiles_run_contiguously(layout: Layout, seed: int, tile: int, spare: int) -> None:
    n, m = num_weights(layout), tile * tile + spare
    slots = TiledMap(layout, ones(layout), m, seed, tile).slots()
    assert slots.shape == (n,)
    assert 0 <= int(slots.min()) <= int(slots.max()) < m
    # Tile by tile, each filling its part of the layer's matrix from a counter.
    key, number, expected = derive_key(seed, "tiled", "slot"), 0, []
    for _, shape in layout:
        rows, columns = shape[0], math.prod(shape[1:])
        matrix = [[-1] * columns for _ in range(rows)]
        for top in range(0, rows, tile):
            for left in range(0, columns, tile):
                slot = int(hash_below(key, torch.tensor(number), m - tile * tile + 1))
                number += 1
                for row in range(top, min(top + tile, rows)):
                    for column in range(left, min(left + tile, columns)):
                        matrix[row][column] = slot
                        slot += 1
        expected += [slot for row in matrix for slot in row]
    assert slots.tolist() == expected


def test_a_repository_of_one_tile_starts_every_tile_at_zero() -> None:
    layout: Layout = (("weight", (4, 4)),)
    slots = TiledMap(layout, [1.0], 4, 0, 2).slots().view(4, 4)
    assert slots.tolist() == [[0, 1, 0, 1], [2, 3, 2, 3]] * 2


@pytest.mark.parametrize("kind", [RandomFoldMap, HashedMap, BalancedMap, TiledMap])
def test_one_seed_one_map(kind: type[SharingMap]) -> None:
    layout: Layout = (("a.weight", (20, 30)), ("b.weight", (10, 40)))
    extra = (4,) if kind is TiledMap else ()

    def build(seed: int) -> SharingMap:
        return kind(layout, [1.0, 1.0], 100, seed, *extra)

    assert torch.equal(build(0).slots(), build(0).slots())
    assert torch.equal(build(0).signs(), build(0).signs())
    assert not torch.equal(build(0).slots(), build(1).slots())
    assert not torch.equal(build(0).signs(), build(1).signs())


def test_slots_and_signs_are_independent() -> None:
    """The signs of one slot's weights are balanced."""
    layout: Layout = (("weight", (400, 500)),)
    for kind in (RandomFoldMap, HashedMap, BalancedMap):
        weight_map = kind(layout, [1.0], 10, 0)
        sums = weight_map.slot_sums(weight_map.signs().double())
        assert sums.abs().max().item() < 5 * math.sqrt(20_000), kind


def permute_fold(size: int, fold: int, key: int) -> torch.Tensor:
    """(size,) where one fold's permutation sends 0, 1, ..."""
    offsets = torch.arange(size)
    return permute(offsets, torch.zeros_like(offsets), torch.tensor([fold]), size, key)


@pytest.mark.parametrize("size", range(1, 301))
def test_permute_is_a_permutation(size: int) -> None:
    for fold in range(2):
        image = permute_fold(size, fold, -size)
        assert image.sort().values.tolist() == list(range(size))


@pytest.mark.parametrize("size", [37, 64])
def test_every_offset_reaches_every_slot_as_often(size: int) -> None:
    """Over many folds, offsets' slots are uniform and neighbours are not kept together.

    Four Feistel rounds of b bits are even up to about 2^(-b/2): at these small sizes neighbours
    follow each other a fifth more or less often than in a random permutation.
    """
    num_folds = 100 * size
    folds = torch.arange(num_folds)
    offsets, rows = torch.arange(size).repeat(num_folds), folds.repeat_interleave(size)
    image = permute(offsets, rows, folds, size, derive_key(0, "test"))
    image = image.view(num_folds, size)
    for offset in range(0, size, 7):
        loads = torch.bincount(image[:, offset], minlength=size)
        chi_square = ((loads - 100).double() ** 2 / 100).sum().item()
        assert chi_square - (size - 1) < 6 * math.sqrt(2 * size), offset
    steps = (image[:, 1:] - image[:, :-1]) % size  # of a random permutation: 1 .. size-1 alike
    share = (steps == 1).double().mean().item()
    assert abs(share - 1 / (size - 1)) < 0.5 / (size - 1)


@given(size=st.integers(1, 5000), key=st.integers(-(2**63), 2**63 - 1), fold=st.integers(0, 10**6))
def test_permute_stays_inside(size: int, key: int, fold: int) -> None:
    image = permute_fold(size, fold, key)
    assert torch.equal(image.sort().values, torch.arange(size))


@pytest.mark.parametrize("long_run", [1, 10**9])
@pytest.mark.parametrize("block", [64, 100, 10**9])
@given(layout_and_size=layouts_and_sizes(), seed=seeds, data=st.data())
def test_blocks_and_runs_change_no_bit(
    block: int, long_run: int, layout_and_size: tuple[Layout, int], seed: int, data: st.DataObject
) -> None:
    """However a range is cut, its weights are theta at the slots, times the coefficients."""
    layout, m = layout_and_size
    n, scales = num_weights(layout), [0.3 + place for place in range(len(layout))]
    start = data.draw(st.integers(0, n - 1))
    stop = data.draw(st.integers(start + 1, n))
    stored = torch.randn(m, generator=torch.Generator().manual_seed(seed))
    gradient = torch.randn(n, dtype=torch.float64)
    kinds: tuple[type[SharingMap], ...] = (*BALANCED_KINDS, HashedMap)
    maps = [kind(layout, scales, m, seed) for kind in kinds]
    if m >= 4:
        maps.append(TiledMap(layout, scales, m, seed, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharing_map, "BLOCK", block)
        patch.setattr(randomfold, "LONG_RUN", long_run)
        for weight_map in maps:
            slots, coefficients = weight_map.slots(), weight_map.coefficients()
            plain = (stored[slots] * coefficients)[start:stop]
            assert torch.equal(weight_map.expand_range(stored, start, stop), plain)
            assert torch.equal(weight_map.slots_between(start, stop), slots[start:stop])
            in_double = weight_map.double()
            products = gradient * in_double.coefficients()
            sums = torch.zeros(m, dtype=torch.float64).index_add_(0, slots, products)
            torch.testing.assert_close(in_double.reduce(gradient), sums, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("device", "length", "goes_by_run"),
    [
        ("cpu", 9, True),
        ("cpu", 10, False),
        ("meta", 9, True),
        ("meta", 10, False),
    ],
)
def test_a_range_shorter_than_a_fold_copies_no_whole_fold(
    device: str, length: int, goes_by_run: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On any device; meta stands for a GPU."""
    weight_map = RandomFoldMap(GOLDEN_LAYOUT, GOLDEN_SCALES, 10, 7).to(device)
    taken: list[bool] = []
    for name in ("_expand_runs", "_expand_folds"):
        is_by_run = name == "_expand_runs"
        monkeypatch.setattr(weight_map, name, lambda *range_, way=is_by_run: taken.append(way))
    weight_map.expand_range(torch.empty(10, device=device), 2, 2 + length)
    assert taken == [goes_by_run]


def test_a_description_rebuilds_the_map() -> None:
    for weight_map in (
        RandomFoldMap(GOLDEN_LAYOUT, GOLDEN_SCALES, 10, 7),
        TiledMap(GOLDEN_LAYOUT, GOLDEN_SCALES, 10, 7, 3),
    ):
        description = weight_map.description()
        assert description.pop("kind") == weight_map.kind
        rebuilt = type(weight_map)(GOLDEN_LAYOUT, **description)  # type: ignore[arg-type]
        assert torch.equal(rebuilt.slots(), weight_map.slots())
        assert torch.equal(rebuilt.coefficients(), weight_map.coefficients())
