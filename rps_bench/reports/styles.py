"""The look of each method, dataset and architecture in figures: fixed, so that figures compare.

Colours are from the Okabe-Ito palette and Paul Tol's muted set, distinguishable under the common
colour blindnesses; markers and dashes repeat the distinction without colour. Sharing methods are
solid, pruning methods dashed, `small` is dotted.
"""

from typing import NamedTuple


class MethodStyle(NamedTuple):
    """Colour, marker and line of one method's curve."""

    colour: str
    marker: str
    line: str


TIMES = "\N{MULTIPLICATION SIGN}"

SOLID, DASHED, DOTTED = "-", "--", ":"

METHOD_STYLES = {
    "dense": MethodStyle("#222222", "*", SOLID),
    "stable_rps": MethodStyle("#0072B2", "o", SOLID),
    "roast": MethodStyle("#D55E00", "s", SOLID),
    "hashednet": MethodStyle("#E69F00", "D", SOLID),
    "rpg": MethodStyle("#56B4E9", "^", SOLID),
    "rand": MethodStyle("#8C8C8C", "v", DASHED),
    "mag": MethodStyle("#117733", "p", DASHED),
    "snip": MethodStyle("#CC79A7", "<", DASHED),
    "grasp": MethodStyle("#882255", ">", DASHED),
    "synflow": MethodStyle("#009E73", "h", DASHED),
    "ltr": MethodStyle("#332288", "P", DASHED),
    "mag_trained": MethodStyle("#999933", "X", DASHED),
    "small": MethodStyle("#666633", "d", DOTTED),
}
# For a method missing from the table: visible, and plainly without its own style.
UNKNOWN_STYLE = MethodStyle("#AA0000", "8", "-.")

DATASET_TITLES = {
    "digits": "digits",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "tiny_imagenet": "Tiny ImageNet",
}
ARCH_TITLES = {"resnet20": "ResNet-20", "vgg11": "VGG-11"}


def method_style(method: str) -> MethodStyle:
    """The style of a method, the same in every figure."""
    return METHOD_STYLES.get(method, UNKNOWN_STYLE)


def method_rank(method: str) -> int:
    """The method's position in the table above, which is the drawing order; unknown ones last."""
    return list(METHOD_STYLES).index(method) if method in METHOD_STYLES else len(METHOD_STYLES)
