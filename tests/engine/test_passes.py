"""Every way of a convolution's passes against PyTorch in float64."""

from collections.abc import Callable
from functools import partial

import pytest
import torch

from rps_bench.engine import products, whole, winograd
from rps_bench.engine.native import Native
from rps_bench.engine.passes import Passes, find_passes
from tests.engine.reference import Convolved, convolved, relative_error

# Winograd's transforms lose up to a digit and a half (Lavin and Gray 2016 find the same); with 36
# products of numbers up to 5 times as large an error of 100 roundings is far from usual.
LARGEST = 2e-5

SIZES = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 7), (6, 5), (8, 8), (9, 13), (28, 28), (1, 17)]
CHANNELS = [(1, 1), (1, 16), (3, 2), (7, 5), (16, 16), (17, 33), (64, 128), (129, 130), (130, 1)]
WHOLE_SIZES = [(1, 1), (1, 2), (2, 1), (2, 2)]
NATIVE_CHANNELS = [(16, 16), (16, 32), (32, 16), (48, 32), (64, 64), (64, 128), (144, 80)]

Make = Callable[[], Passes]


def product_passes() -> Passes:
    transforms = products.ProductTransforms()
    return Passes(
        partial(winograd.convolve, transforms),
        partial(winograd.by_data, transforms),
        partial(winograd.by_weight, transforms),
    )


def whole_passes(taps: whole.Taps) -> Passes:
    return Passes(
        partial(whole.convolve, taps), partial(whole.by_data, taps), partial(whole.by_weight, taps)
    )


def native_passes(native: Native) -> tuple[Passes, Passes]:
    """Tile by tile, and around PyTorch's products."""
    around = Passes(
        partial(winograd.convolve, native),
        partial(winograd.by_data, native),
        partial(winograd.by_weight, native),
    )
    return Passes(native.convolve, native.by_data, native.by_weight), around


def errors(passes: Passes, case: Convolved) -> list[float]:
    """The relative errors of the passes that there are."""
    found = []
    if passes.forward is not None:
        given = passes.forward(case.images, case.weight, case.bias)
        found.append(relative_error(given, case.result))
    if passes.by_data is not None:
        found.append(relative_error(passes.by_data(case.gradient, case.weight), case.by_data))
    if passes.by_weight is not None:
        found.append(relative_error(passes.by_weight(case.images, case.gradient), case.by_weight))
    return found


@pytest.mark.parametrize("num", [1, 3])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_winograd_made_of_products(num: int, height: int, width: int) -> None:
    for ins, outs in CHANNELS:
        case = convolved(num, ins, outs, height, width)
        assert max(errors(product_passes(), case)) < LARGEST, (ins, outs)


@pytest.mark.parametrize("num", [1, 3])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_columns(num: int, height: int, width: int) -> None:
    for ins, outs in CHANNELS:
        case = convolved(num, ins, outs, height, width)
        assert max(errors(Passes(None, None, products.by_weight_columns), case)) < LARGEST


@pytest.mark.parametrize("num", [1, 3])
@pytest.mark.parametrize(("height", "width"), WHOLE_SIZES)
def test_whole_images(num: int, height: int, width: int, native: Native) -> None:
    for ins, outs in CHANNELS:
        case = convolved(num, ins, outs, height, width)
        for taps in (whole.PlainTaps(), native):
            assert max(errors(whole_passes(taps), case)) < LARGEST, (ins, outs)


@pytest.mark.parametrize("num", [1, 3])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_native(num: int, height: int, width: int, native: Native) -> None:
    for ins, outs in NATIVE_CHANNELS:
        case = convolved(num, ins, outs, height, width)
        for passes in native_passes(native):
            assert max(errors(passes, case)) < LARGEST, (ins, outs)


@pytest.mark.parametrize("ins", [16, 64])
def test_a_large_batch_goes_past_the_cache_and_is_right(ins: int, native: Native) -> None:
    case = convolved(70, ins, ins, 16, 16)
    for passes in native_passes(native):
        assert max(errors(passes, case)) < LARGEST


@pytest.mark.parametrize("is_native", [False, True])
@pytest.mark.parametrize(
    ("ins", "outs", "height", "width"),
    [(64, 64, 2, 2), (128, 64, 4, 4), (65, 70, 3, 4), (64, 64, 1, 1)],
)
def test_bfloat16_is_as_exact_as_pytorch_s_own(
    is_native: bool, ins: int, outs: int, height: int, width: int, native: Native
) -> None:
    case = convolved(8, ins, outs, height, width, torch.bfloat16)
    passes = find_passes(is_native, torch.bfloat16, ins, outs, height, width)
    assert passes is not None
    assert max(errors(passes, case)) < 2**-8  # half a unit of the results' last place


@pytest.mark.parametrize(
    ("is_native", "ins", "outs", "size", "is_faster"),
    [
        (True, 16, 16, 32, True),
        (True, 3, 16, 32, False),  # the first layer
        (True, 24, 16, 32, False),  # no multiple of 16
        (True, 512, 512, 4, True),
        (True, 64, 64, 1, True),
        (True, 16, 16, 2, False),
        (True, 16, 16, 5, False),  # of 8x8 that tiles compute, 25
        (False, 64, 64, 32, False),
        (False, 128, 128, 32, True),
        (False, 64, 64, 2, True),
    ],
)
def test_a_way_is_taken_where_it_was_measured_faster(
    is_native: bool, ins: int, outs: int, size: int, is_faster: bool, native: Native
) -> None:
    passes = find_passes(is_native, torch.float32, ins, outs, size, size)
    assert (passes is not None) == is_faster


NOT_FINITE = [float("nan"), float("inf"), float("-inf")]


@pytest.mark.parametrize("size", [2, 4, 7])
@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("where", ["images", "weight", "gradient"])
def test_what_is_not_finite_shows_wherever_it_does_in_a_plain_convolution(
    value: float, where: str, size: int, native: Native
) -> None:
    ways = [*native_passes(native), product_passes()]
    if size == 2:
        ways = [whole_passes(native), whole_passes(whole.PlainTaps()), *ways]
    case = convolved(2, 16, 16, size, size)
    spoiled = getattr(case, where)
    for place in range(0, spoiled.numel(), spoiled.numel() // 19 + 2):
        index = torch.unravel_index(torch.tensor(place), spoiled.shape)
        before = spoiled[index].clone()
        spoiled[index] = value
        plain = plain_passes(case)
        for passes in ways:
            for given, expected in zip(all_passes(passes, case), plain, strict=True):
                assert not bool((~expected.isfinite() & given.isfinite()).any())
        spoiled[index] = before


def plain_passes(case: Convolved) -> list[torch.Tensor]:
    """The three passes by PyTorch."""
    back = torch.ops.aten.convolution_backward(
        *(case.gradient, case.images, case.weight, None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1),
        (True, True, False),
    )
    return [torch.conv2d(case.images, case.weight, case.bias, padding=1), back[0], back[1]]


def all_passes(passes: Passes, case: Convolved) -> list[torch.Tensor]:
    assert passes.forward is not None
    assert passes.by_data is not None
    assert passes.by_weight is not None
    return [
        passes.forward(case.images, case.weight, case.bias),
        passes.by_data(case.gradient, case.weight),
        passes.by_weight(case.images, case.gradient),
    ]


def test_the_number_of_threads_changes_no_bit(native: Native) -> None:
    shapes = [(40, 16, 32, 12, 12), (128, 64, 64, 8, 8), (9, 128, 256, 8, 8), (64, 64, 64, 2, 2)]
    for shape in shapes:
        case = convolved(*shape)
        ways = [*native_passes(native)]
        if shape[-1] == 2:
            ways.append(whole_passes(native))
        for passes in ways:
            once = all_passes(passes, case)
            for num_threads in (1, 2, 2, 3):
                before = torch.get_num_threads()
                torch.set_num_threads(num_threads)
                try:
                    again = all_passes(passes, case)
                finally:
                    torch.set_num_threads(before)
                assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True)), shape
