"""The look of each method, dataset and architecture in figures: fixed, so that figures compare.

A method's line says what kind it is: sharing methods are solid, pruning methods dashed, narrower
networks dotted. Its colour and marker are its own. Colours are Okabe and Ito's and Paul Tol's muted
set, apart under the common colour blindnesses; the marker and the line say the same again without
colour.
"""

import zlib
from typing import NamedTuple

from rps_bench.datasets import DATASETS

LineStyle = str | tuple[float, tuple[float, ...]]  # as matplotlib takes it


class MethodLook(NamedTuple):
    """Colour and marker of one method."""

    colour: str
    marker: str


class MethodStyle(NamedTuple):
    """Colour, marker and line of one method's curve."""

    colour: str
    marker: str
    line: LineStyle


TIMES = "\N{MULTIPLICATION SIGN}"

SOLID, DASHED, DOTTED, DASH_DOTTED = "-", "--", ":", "-."
LONG_DASHED: LineStyle = (0, (8, 2))
# A method's further variants where lines tell them apart, in the order of their labels.
VARIANT_LINES: tuple[LineStyle, ...] = (LONG_DASHED, DASH_DOTTED, (0, (1, 1)))

# Chosen by hand where there is something to choose; any other method has one by its name.
METHOD_LOOKS = {
    "dense": MethodLook("#222222", "*"),
    "stable_rps": MethodLook("#0072B2", "o"),
    "roast": MethodLook("#D55E00", "s"),
    "hashednet": MethodLook("#E69F00", "D"),
    "rpg": MethodLook("#56B4E9", "^"),
    "rand": MethodLook("#8C8C8C", "v"),
    "mag": MethodLook("#117733", "p"),
    "snip": MethodLook("#CC79A7", "<"),
    "grasp": MethodLook("#882255", ">"),
    "synflow": MethodLook("#009E73", "h"),
    "ltr": MethodLook("#332288", "P"),
    "mag_trained": MethodLook("#999933", "X"),
    "small": MethodLook("#666633", "d"),
}
OTHER_COLOURS = ("#AA0000", "#AA4499", "#44AA99", "#CC6677", "#661100", "#6699CC")
OTHER_MARKERS = ("8", "H")


class KindLine(NamedTuple):
    """The line of a kind of methods, and the words for it in the small print."""

    line: LineStyle
    words: str


# By the kinds of `rps_bench.core.kinds`, in the order of the small print.
KIND_LINES = {
    "dense": KindLine(SOLID, "solid: dense"),
    "sharing": KindLine(SOLID, "solid: parameter sharing"),
    "pruning": KindLine(DASHED, "dashed: pruning"),
    "narrower": KindLine(DOTTED, "dotted: small"),
    "post-training": KindLine(DASH_DOTTED, "dash-dotted: compressed after training"),
}
UNKNOWN_KIND = KindLine(LONG_DASHED, "long dashes: kind of method not known")

DATASET_TITLES = {name: info.title or name for name, info in DATASETS.items()}
ARCH_TITLES = {  # another one goes by its name
    "resnet20": "ResNet-20",
    "vgg11": "VGG-11",
    "vit_tiny": "ViT-Tiny",
    "convnext_mini": "ConvNeXt-Mini",
}


def method_look(method: str) -> MethodLook:
    """The colour and marker of a method, the same in every figure."""
    number = zlib.crc32(method.encode())
    row, column = divmod(number, len(OTHER_COLOURS))
    other = MethodLook(OTHER_COLOURS[column], OTHER_MARKERS[row % len(OTHER_MARKERS)])
    return METHOD_LOOKS.get(method, other)


def method_style(method: str, kind: str | None) -> MethodStyle:
    """The style of a method of a kind, the same in every figure; None: kind not known."""
    return MethodStyle(*method_look(method), kind_line(kind).line)


def variant_line(line: LineStyle, variant: int) -> LineStyle:
    """The line of a method's variant by its number; 0, the first, has that of its kind."""
    return VARIANT_LINES[(variant - 1) % len(VARIANT_LINES)] if variant else line


def kind_line(kind: str | None) -> KindLine:
    """The line of a kind of methods."""
    return UNKNOWN_KIND if kind is None else KIND_LINES.get(kind, UNKNOWN_KIND)


def method_rank(method: str) -> int:
    """The method's place in the table above, which orders drawing; others come last."""
    return list(METHOD_LOOKS).index(method) if method in METHOD_LOOKS else len(METHOD_LOOKS)
