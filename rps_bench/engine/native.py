"""The native kernels as functions on tensors.

They run in all threads that a step may use, in those of the OpenMP runtime that PyTorch has loaded.
Each library is checked against float64 before its first use: a compiler that gets it wrong is no
source of results.
"""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from rps_bench.engine import winograd
from rps_bench.engine.build import CannotBuildError, build_library
from rps_bench.engine.threads import count_threads

GRAIN = 16  # channels of native convolutions are multiples of it, as in kernels.cpp
LARGEST_ERROR = 1e-4  # relative, of the check; measured: 5e-6
CL = torch.channels_last

_POINTER, _LONG, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_long, ctypes.c_int, ctypes.c_float
_NORM_FORWARD = [_POINTER] * 3 + [_LONG] * 2 + [_POINTER] * 6 + [_FLOAT] * 2 + [_INT] * 2
_NORM_BACKWARD = [_POINTER] * 5 + [_LONG] * 2 + [_POINTER] * 6 + [_INT] * 2
_SIGNATURES: dict[str, list[Any]] = {
    "weights_forth": [_POINTER] * 2 + [_LONG] * 2 + [_INT] * 2,
    "weights_back": [_POINTER] * 2 + [_LONG] * 2 + [_INT],
    "inputs_forth": [_POINTER] * 2 + [_LONG] * 4 + [_INT],
    "gradients_forth": [_POINTER] * 2 + [_LONG] * 4 + [_INT],
    "outputs_back": [_POINTER] * 3 + [_LONG] * 4 + [_INT],
    "winograd": [_POINTER] * 4 + [_LONG] * 5 + [_INT],
    "winograd_by_weight": [_POINTER] * 3 + [_LONG] * 5 + [_INT],
    "taps_forth": [_POINTER] * 2 + [_LONG] * 4 + [_INT] * 2,
    "taps_back": [_POINTER] * 2 + [_LONG] * 4 + [_INT] * 2,
    "norm_forward_float32": _NORM_FORWARD,
    "norm_forward_bfloat16": _NORM_FORWARD,
    "norm_backward_float32": _NORM_BACKWARD,
    "norm_backward_bfloat16": _NORM_BACKWARD,
}


class Native:
    """The functions of a compiled library.

    Images (N, C, H, W) are float32, channels last; weights (K, C, 3, 3) float32, contiguous. It
    gives Winograd's transforms (see ``winograd.Transforms``), whole convolutions, and BatchNorm.
    """

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        self.build = path.stem  # names source, compiler and processor
        for name, arguments in _SIGNATURES.items():
            function = getattr(self._library, name)
            function.argtypes, function.restype = arguments, _INT
        self._library.instructions.restype = ctypes.c_char_p
        self.instructions: str = self._library.instructions().decode()
        self._library.use_runtime.argtypes = [_POINTER]
        self._library.use_runtime(_find_parallel())

    def _call(self, name: str, *arguments: Any) -> None:
        given = (a.data_ptr() if isinstance(a, torch.Tensor) else a for a in arguments)
        if getattr(self._library, name)(*given, count_threads()) != 0:
            raise MemoryError(f"too little memory for {name}")

    def weights(self, weight: torch.Tensor, is_flipped: bool) -> torch.Tensor:
        """As of ``winograd.Transforms``."""
        outs, ins = weight.shape[:2]
        matrices = _floats(36, *((outs, ins) if is_flipped else (ins, outs)))
        self._call("weights_forth", weight, matrices, outs, ins, is_flipped)
        return matrices

    def inputs(self, images: torch.Tensor) -> torch.Tensor:
        """As of ``winograd.Transforms``."""
        return self._to_tiles("inputs_forth", images)

    def gradients(self, gradient: torch.Tensor) -> torch.Tensor:
        """As of ``winograd.Transforms``."""
        return self._to_tiles("gradients_forth", gradient)

    def _to_tiles(self, name: str, images: torch.Tensor) -> torch.Tensor:
        num, channels, height, width = images.shape
        tiles = _floats(36, num * -(-height // 4) * -(-width // 4), channels)
        self._call(name, images, tiles, num, height, width, channels)
        return tiles

    def outputs(
        self, sums: torch.Tensor, shape: torch.Size, bias: torch.Tensor | None
    ) -> torch.Tensor:
        """As of ``winograd.Transforms``."""
        num, _, height, width = shape
        outs = sums.shape[2]
        images = _floats(num, height, width, outs).permute(0, 3, 1, 2)
        self._call("outputs_back", sums, bias, images, num, height, width, outs)
        return images

    def weight_gradient(self, sums: torch.Tensor) -> torch.Tensor:
        """As of ``winograd.Transforms``."""
        _, ins, outs = sums.shape
        gradient = _floats(outs, ins, 3, 3)
        self._call("weights_back", sums, gradient, outs, ins)
        return gradient

    def convolve(
        self, images: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        """``winograd.convolve`` tile by tile in the processor's cache: best with few channels."""
        return self._convolve(images, self.weights(weight, False), bias)

    def by_data(self, gradient: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """``winograd.by_data`` in the same way."""
        return self._convolve(gradient, self.weights(weight, True), None)

    def _convolve(
        self, images: torch.Tensor, matrices: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        num, ins, height, width = images.shape
        outs = matrices.shape[2]
        convolved = _floats(num, height, width, outs).permute(0, 3, 1, 2)
        sizes = num, height, width, ins, outs
        self._call("winograd", images, matrices, bias, convolved, *sizes)
        return convolved

    def by_weight(self, images: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """``winograd.by_weight`` in the same way."""
        num, ins, height, width = images.shape
        outs = gradient.shape[1]
        by_weight = _floats(outs, ins, 3, 3)
        sizes = num, height, width, ins, outs
        self._call("winograd_by_weight", images, gradient, by_weight, *sizes)
        return by_weight

    def spread_taps(self, weight: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """As of ``whole.Taps``, float32 or bfloat16."""
        outs, ins = weight.shape[:2]
        pixels = height * width
        matrix = weight.new_empty(pixels, outs, pixels, ins)
        self._call("taps_forth", weight, matrix, outs, ins, height, width, weight.itemsize)
        return matrix

    def gather_taps(self, sums: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """As of ``whole.Taps``, float32 or bfloat16."""
        _, outs, _, ins = sums.shape
        gradient = sums.new_empty(outs, ins, 3, 3)
        self._call("taps_back", sums, gradient, outs, ins, height, width, sums.itemsize)
        return gradient

    def normalise(
        self,
        images: torch.Tensor,
        other: torch.Tensor | None,
        norm: torch.nn.BatchNorm2d,
        has_relu: bool,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """BatchNorm by the batch's own moments, plus ``other``, ReLU; float32 or bfloat16 images.

        The layer's running moments are updated.

        Returns:
            The result, and (C,) the means and inverse standard deviations.
        """
        result = torch.empty_like(images, memory_format=CL)
        mean, inverse_std = torch.empty_like(norm.weight), torch.empty_like(norm.weight)
        self._call(
            f"norm_forward_{_name_of(images.dtype)}",
            *(images, other, result, images.numel() // images.shape[1], images.shape[1]),
            *(norm.weight, norm.bias, mean, inverse_std, norm.running_mean, norm.running_var),
            *(norm.momentum, norm.eps, has_relu),
        )
        return result, mean, inverse_std

    def normalise_back(
        self,
        images: torch.Tensor,
        result: torch.Tensor | None,
        gradient: torch.Tensor,
        parameters: tuple[torch.Tensor, torch.Tensor],
        moments: tuple[torch.Tensor, torch.Tensor],
        has_relu: bool,
        wants_images: bool,
        wants_other: bool,
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor, torch.Tensor]:
        """The gradients by the images, the other summand, the weight and the bias.

        Args:
            images: What was normalised.
            result: What came of it; None to compute again where the ReLU cut. Needed only with
                another summand.
            gradient: By the result.
            parameters: The weight and the bias, (C,) each.
            moments: The means and inverse standard deviations, (C,) each.
            has_relu: Whether a ReLU followed.
            wants_images: Whether the gradient by the images is needed.
            wants_other: Whether that by the other summand is.
        """
        by_images = torch.empty_like(images, memory_format=CL) if wants_images else None
        by_other = torch.empty_like(images, memory_format=CL) if wants_other else None
        by_weight, by_bias = (torch.empty_like(parameter) for parameter in parameters)
        self._call(
            f"norm_backward_{_name_of(images.dtype)}",
            *(images, result, gradient, by_images, by_other),
            *(images.numel() // images.shape[1], images.shape[1]),
            *(*parameters, *moments, by_weight, by_bias, has_relu),
        )
        return by_images, by_other, by_weight, by_bias


_loaded: list[Native | str] = []  # the kernels, or why there are none, once it is known
_said: set[str] = set()


def find_native(otherwise: str, say: Callable[[str], object]) -> Native | None:
    """The native kernels; None where they cannot be had, and a line on why, once in a process.

    Args:
        otherwise: The set that is used then.
        say: Takes the line, and one where it takes seconds.
    """
    found = _load(say)
    if isinstance(found, Native):
        return found
    if found not in _said:
        _said.add(found)
        say(f"kernels {otherwise} instead of native ones: {found}")
    return None


def loaded_native() -> Native:
    """The native kernels of a network that trains by them.

    Raises:
        CannotBuildError: They cannot be had here; the network was made elsewhere.
    """
    found = _load(lambda line: None)
    if isinstance(found, str):
        raise CannotBuildError(found)
    return found


def _load(say: Callable[[str], object]) -> Native | str:
    """The kernels, or why there are none; built and checked once in a process."""
    if not _loaded:
        try:
            native = Native(build_library(say))
            with torch.autocast("cpu", enabled=False):  # the first use may be amid a bf16 pass
                _check(native)
            _loaded.append(native)
        except (CannotBuildError, OSError) as error:
            _loaded.append(str(error))
    return _loaded[0]


def _check(native: Native) -> None:
    """Raise a CannotBuildError unless small passes agree with float64."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        images = torch.randn(shape, generator=generator, dtype=torch.float64)
        return images.contiguous(memory_format=CL)

    images, weight, gradient = draw(3, 32, 6, 5), draw(48, 32, 3, 3), draw(3, 48, 6, 5)
    weight = weight.contiguous()
    x, w, d = images.float(), weight.float().contiguous(), gradient.float()
    exact = torch.ops.aten.convolution_backward(
        *(gradient, images, weight, None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1),
        (True, True, False),
    )
    convolved = F.conv2d(images, weight, None, 1, 1)
    norm = torch.nn.BatchNorm2d(32)
    normed = F.relu(F.batch_norm(images, None, None, training=True))
    pairs = [
        (native.convolve(x, w, None), convolved),
        (native.by_data(d, w), exact[0]),
        (native.by_weight(x, d), exact[1]),
        (winograd.convolve(native, x, w, None), convolved),
        (winograd.by_data(native, d, w), exact[0]),
        (winograd.by_weight(native, x, d), exact[1]),
        (native.normalise(x, None, norm, True)[0], normed),
    ]
    for given, expected in pairs:
        error = (given.double() - expected).norm() / expected.norm()
        if not bool(error < LARGEST_ERROR):
            raise CannotBuildError(f"the compiled kernels are wrong (relative error {error:.1e})")


def _find_parallel() -> int | None:
    """The address of GOMP_parallel in the OpenMP runtime that this process has; None without."""
    try:
        mapped = Path("/proc/self/maps").read_text().split()
    except OSError:
        return None
    for path in sorted({word for word in mapped if word.startswith("/")}):
        if Path(path).name.startswith(("libgomp", "libomp", "libiomp5")):
            function = getattr(ctypes.CDLL(path), "GOMP_parallel", None)
            if function is not None:
                return ctypes.cast(function, _POINTER).value
    return None


def _floats(*shape: int) -> torch.Tensor:
    """Memory for numbers, whatever PyTorch's defaults are."""
    return torch.empty(shape, dtype=torch.float32, device="cpu")


def _name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
