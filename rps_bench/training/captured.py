"""A training step as a CUDA graph: one launch a step instead of hundreds.

On a GPU a step of a small network is some hundred kernels of a few microseconds each; launching
them one by one from Python takes longer than they run. A captured step reads its inputs from the
same memory every time and is replayed whole (Nguyen et al. 2021, Accelerating PyTorch with CUDA
Graphs). It computes what the step computes.
"""

import warnings
from collections.abc import Callable
from functools import cache

import torch

Step = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], None]

WARM_UP_STEPS = 3  # done one kernel at a time: libraries set themselves up, momentum is made
WAITS = "called a synchronizing"  # how a warning of PyTorch's sync debug mode begins


class CapturedSteps:
    """A step that is captured once for each batch size, and replayed from then on.

    The first steps of each size are ordinary ones. A step that cannot be captured stays so, with a
    warning.
    """

    def __init__(self) -> None:
        self.by_size: dict[int, _CapturedStep] = {}

    def do(self, step: Step, inputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
        """Do one step.

        Args:
            step: The same every time. It works on tensors of the device only: it waits for no
                result and copies nothing from the host; what it keeps stays in the same memory.
            inputs: (B, ...) each, on the device.
        """
        size = len(inputs[0])
        if size not in self.by_size:
            self.by_size[size] = _CapturedStep(inputs)
        self.by_size[size].do(step, inputs)


class _CapturedStep:
    """The step of one batch size."""

    def __init__(self, inputs: tuple[torch.Tensor, ...]) -> None:
        self.inputs = [torch.empty_like(given) for given in inputs]
        self.graph: torch.cuda.CUDAGraph | None = None
        self.num_ordinary, self.is_capturable = 0, True

    def do(self, step: Step, inputs: tuple[torch.Tensor, ...]) -> None:
        for kept, given in zip(self.inputs, inputs, strict=True):
            kept.copy_(given)
        if self.graph is None and self.is_capturable and self.num_ordinary >= WARM_UP_STEPS:
            self._capture(step)
        if self.graph is not None:
            self.graph.replay()
            return
        self.num_ordinary += 1
        if self.num_ordinary == WARM_UP_STEPS:
            self._watch(step)
        else:
            step(*self.inputs)

    def _watch(self, step: Step) -> None:
        """Do an ordinary step; one in which the host waits is not tried to be captured.

        CUDA ends such a capture, but PyTorch's allocator stays in it: all later captures of the
        process fail, and so does giving memory back.
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            before = torch.cuda.get_sync_debug_mode()
            torch.cuda.set_sync_debug_mode("warn")
            try:
                step(*self.inputs)
            finally:
                torch.cuda.set_sync_debug_mode(before)
        for own in caught:
            if "synchroniz" not in str(own.message):  # nor that the mode itself is a prototype
                warnings.warn_explicit(own.message, own.category, own.filename, own.lineno)
        if any(str(own.message).startswith(WAITS) for own in caught):
            self._give_up("the host waits for the GPU in it")

    def _capture(self, step: Step) -> None:
        """Record the step's kernels without running them."""
        graph, stream = torch.cuda.CUDAGraph(), stream_to_capture_in(self.inputs[0].device)
        try:
            # Entered here, too: PyTorch 2.11 leaves the stream of a failed capture current.
            with torch.cuda.stream(stream), torch.cuda.graph(graph, stream=stream):
                step(*self.inputs)
        except RuntimeError as error:
            self._give_up(str(error).partition("\n")[0])
        else:
            self.graph = graph

    def _give_up(self, reason: str) -> None:
        self.is_capturable = False
        warnings.warn(f"the training step is not captured, so slower: {reason}", stacklevel=3)


def stream_to_capture_in(device: torch.device) -> torch.cuda.Stream:
    """The current stream of the device, or one aside for the default one, which captures nothing.

    PyTorch's own choice is one stream for the whole process. It belongs to one device: what runs on
    another one is not captured. And cuBLAS has scratch memory for each stream, to whose addresses a
    graph holds on: graphs captured in one stream must not run at once.
    """
    current = torch.cuda.current_stream(device)
    is_default = current == torch.cuda.default_stream(device)
    return _stream_aside(device) if is_default else current


@cache
def _stream_aside(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
