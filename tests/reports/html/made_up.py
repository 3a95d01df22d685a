"""Made-up records for tests of a page of many runs, with curves of a realistic length."""

from itertools import product
from typing import Any

from tests.reports.conftest import make_record

METHODS = (
    "stable_rps", "roast", "hashednet", "rpg", "rand", "mag", "snip", "grasp", "synflow", "small",
)  # fmt: skip
COMPRESSIONS = (1.0, 10.0, 100.0, 316.0, 1000.0)
NUM_SEEDS, NUM_EPOCHS = 5, 60


def make_many_records() -> list[dict[str, Any]]:
    """2,000 records: ten methods at five compressions with five seeds, in eight experiments."""
    history = [
        {"epoch": epoch + 1, "train_loss": 2.3 * 0.97**epoch, "test_accuracy": 30.0 + epoch}
        for epoch in range(NUM_EPOCHS)
    ]
    experiments = product(("cifar10", "cifar100"), ("paper", "quick"), ("resnet20", "vgg11"))
    return [
        make_record(
            method, compression, seed, 90 - 5 * place - seed / 7,
            dataset=dataset, recipe=recipe, arch=arch, epochs=NUM_EPOCHS,
        )
        | {"history": history}
        for dataset, recipe, arch in experiments
        for method in METHODS
        for place, compression in enumerate(COMPRESSIONS)
        for seed in range(NUM_SEEDS)
    ]  # fmt: skip
