"""Crops and flips against a loop over single images; the plan of an epoch."""

import pytest
import torch

from rps_bench.training.augmentation import PADDING, EpochPlan, crop_and_flip, plan_epoch

CPU = torch.device("cpu")


def draw(num_images: int, flip: bool = True, seed: int = 0, epoch: int = 1) -> EpochPlan:
    return plan_epoch(num_images, flip, seed, epoch, CPU)


def augment_one(image: torch.Tensor, top: int, left: int, flip: bool) -> torch.Tensor:
    """(3, H, W) on a black canvas with a border of 4, cut out, turned round."""
    channels, height, width = image.shape
    canvas = torch.zeros(channels, height + 8, width + 8, dtype=image.dtype)
    canvas[:, 4 : 4 + height, 4 : 4 + width] = image
    cropped = canvas[:, top : top + height, left : left + width]
    return torch.stack([cropped[:, :, -1 - x] for x in range(width)], 2) if flip else cropped


@pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 9), (32, 32)])
def test_a_batch_is_augmented_as_its_images_one_by_one(height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(0)
    # From 1 up: no pixel of the image looks like the padding.
    images = torch.randint(1, 256, (162, 3, height, width), dtype=torch.uint8, generator=generator)
    every = [(top, left, flip) for top in range(9) for left in range(9) for flip in (False, True)]
    shifts = torch.tensor([[top, left] for top, left, _ in every])
    flips = torch.tensor([flip for _, _, flip in every])
    found = crop_and_flip(images, shifts, flips)
    assert (found.shape, found.dtype) == (images.shape, torch.uint8)
    for row, (top, left, flip) in enumerate(every):
        assert torch.equal(found[row], augment_one(images[row], top, left, flip)), every[row]


def test_the_middle_shift_without_flip_is_the_image() -> None:
    images = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4)
    middle = torch.full((2, 2), 4)
    assert torch.equal(crop_and_flip(images, middle, torch.zeros(2, dtype=torch.bool)), images)
    flipped = crop_and_flip(images, middle, torch.tensor([True, False]))
    assert torch.equal(flipped, torch.stack((images[0].flip(2), images[1])))


def test_the_border_is_black_before_normalisation() -> None:
    white = torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)
    corner = crop_and_flip(white, torch.tensor([[0, 8]]), torch.tensor([False]))[0]
    expected = torch.zeros(3, 8, 8, dtype=torch.uint8)
    expected[:, 4:, :4] = 255
    assert torch.equal(corner, expected)


def test_an_epoch_visits_every_image_once_with_every_shift() -> None:
    plan = draw(4000)
    assert PADDING == 4
    assert torch.equal(plan.order.sort().values, torch.arange(4000))
    assert (plan.shifts.shape, plan.flips.shape) == ((4000, 2), (4000,))
    counts = torch.bincount(plan.shifts[:, 0] * 9 + plan.shifts[:, 1], minlength=81)
    assert len(counts) == 81
    # 49 expected for each of the 81 shifts, std 7.
    assert 15 < int(counts.min()) <= int(counts.max()) < 90
    assert abs(int(plan.flips.sum()) - 2000) < 160  # std 32
    # Flips and the two shifts do not know of each other.
    numbers = torch.stack((plan.flips, plan.shifts[:, 0], plan.shifts[:, 1], plan.order)).double()
    assert float((torch.corrcoef(numbers) - torch.eye(4)).abs().max()) < 0.08


def test_flips_are_off_where_the_dataset_forbids_them_and_nothing_else_changes() -> None:
    with_flips, without = draw(500), draw(500, flip=False)
    assert not without.flips.any()
    assert with_flips.flips.any()
    assert torch.equal(with_flips.order, without.order)
    assert torch.equal(with_flips.shifts, without.shifts)


@pytest.mark.parametrize("field", ["order", "shifts", "flips"])
def test_a_plan_is_a_function_of_seed_and_epoch(field: str) -> None:
    plan = getattr(draw(200, seed=1, epoch=2), field)
    assert torch.equal(plan, getattr(draw(200, seed=1, epoch=2), field))
    for other in (draw(200, seed=1, epoch=3), draw(200, seed=2, epoch=2), draw(200, seed=2)):
        assert not torch.equal(plan, getattr(other, field))


def test_a_plan_neither_reads_nor_moves_the_global_generator() -> None:
    torch.manual_seed(1)
    first, state = draw(50), torch.get_rng_state()
    torch.manual_seed(2)
    second = draw(50)
    assert torch.equal(first.order, second.order)
    assert torch.equal(first.shifts, second.shifts)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


def test_numbers_are_drawn_on_the_cpu_whatever_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    devices: list[str] = []
    for name in ("randperm", "randint"):
        original = getattr(torch, name)

        def spy(*args: object, _original: object = original, **options: object) -> torch.Tensor:
            drawn: torch.Tensor = _original(*args, **options)  # type: ignore[operator]
            devices.append(drawn.device.type)
            return drawn

        monkeypatch.setattr(torch, name, spy)
    plan = plan_epoch(10, True, 0, 1, torch.device("meta"))
    assert len(devices) >= 3
    assert set(devices) == {"cpu"}
    assert {plan.order.device.type, plan.shifts.device.type, plan.flips.device.type} == {"meta"}
