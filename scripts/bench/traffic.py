"""The least memory traffic of a training step if every layer is computed separately.

Only outputs of convolutions are counted, each as often as an unfused chain of convolution,
BatchNorm and ReLU touches a tensor of that size:

forward 5: the convolution writes it; BatchNorm reads it for the statistics and again to normalise,
and writes the result (ReLU in the same pass); the next convolution reads that.
backward 9: that convolution reads the gradient of its own output twice, for its weight and its
input, reads its input, and writes the input's gradient; BatchNorm reads gradient and output for the
sums and both again for the result, which it writes.

Weights, images, residual additions and pooling are ignored. Data that stays in a cache costs less.
"""

import math

from torch import nn

from rps_bench.costs.macs import multiplications_of
from rps_bench.methods.layout import layout_of

NUM_TOUCHES = 5 + 9
VALUE_BYTES = {"fp32": 4, "bf16": 2}


def count_traffic_bytes(model: nn.Module, image_size: int, precision: str) -> int:
    """The bytes that training a dense network moves per image."""
    macs = multiplications_of(model, image_size)
    num_outputs = sum(
        macs[name] // math.prod(shape[1:]) for name, shape in layout_of(model) if len(shape) == 4
    )
    return NUM_TOUCHES * num_outputs * VALUE_BYTES[precision]
