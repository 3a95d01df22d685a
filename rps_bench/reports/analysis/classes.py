"""Accuracy by class: the worst class, and three groups of classes by their training images.

A mean over all images hides what happens to rare classes. The groups are thirds of the classes,
ranked by their numbers of training images: many-shot, medium-shot, few-shot. Liu et al. 2019
(arXiv 1904.05160), whose names these are, draw the lines at 100 and 20 training images. By those
all ten classes of CIFAR-10 with imbalance 10 are many-shot, and a class changes its group with the
imbalance; thirds hold the same classes at every imbalance, so that it can be compared.

Classes count alike within a group, however many images they are evaluated on. Groups are formed
where the largest class has at least twice the training images of the smallest.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rps_bench.records.schema import NUM_CORRECT, NUM_EVALUATED, NUM_TRAIN

WORST = "worst_class_accuracy"
GROUPS = ("many_shot_accuracy", "medium_shot_accuracy", "few_shot_accuracy")
# In percent. The worst class is that of each run: it lies below what the same class has on average.
CLASS_MEASURES = (WORST, *GROUPS)
MEASURE_TITLES = {
    WORST: "worst class",
    **{key: key.removesuffix("_accuracy").replace("_", "-") for key in GROUPS},
}
LEAST_RATIO = 2  # of the largest to the smallest class: random splits of equal classes differ less


def measure_classes(record: Mapping[str, Any]) -> dict[str, float]:
    """The `CLASS_MEASURES` that a record's counts give; none where it has no counts."""
    classes = record.get("classes") or {}
    correct = classes.get(NUM_CORRECT)
    if correct is None:
        return {}
    # Classes without an image to evaluate say nothing.
    accuracies = {
        label: 100.0 * hits / count
        for label, (hits, count) in enumerate(zip(correct, classes[NUM_EVALUATED], strict=True))
        if count > 0
    }
    measures = {WORST: min(accuracies.values())} if accuracies else {}
    num_train = classes[NUM_TRAIN]
    if max(num_train, default=0) >= LEAST_RATIO * max(min(num_train, default=0), 1):
        for name, labels in zip(GROUPS, divide_classes(num_train), strict=True):
            own = [accuracies[label] for label in labels if label in accuracies]
            measures |= {name: sum(own) / len(own)} if own else {}
    return measures


def divide_classes(num_train: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """The classes with most, medium and fewest training images: thirds; of equals the lower first.

    Ten classes are three, four and three.
    """
    ranked = sorted(range(len(num_train)), key=lambda label: -num_train[label])
    first, second = (round(len(ranked) * share / 3) for share in (1, 2))
    return ranked[:first], ranked[first:second], ranked[second:]
