"""What the numbers of the benchmark's file mean: sentences that stand in the file itself."""

from scripts.bench.cells import BASELINE
from scripts.bench.waiting import LIBRARY

NOTES = (
    "rates: the best of ten times before the rounds and ten after them, by number of threads",
    "images_per_second: median, lowest and highest of the rounds, which the sides took in turns; "
    "the first round of each is not counted",
    f"ratio_to_conventional: against {BASELINE}; ratio_to_plain: against the plain kernels in the "
    "same precision. Median, lowest and highest of the rounds' own ratios",
    "kernels: the set that training steps were done by. plain: PyTorch's own",
    "share_of_matrix_rate: 2 * 3 * macs * images_per_second / matrix_flops_per_second of the same "
    "precision and threads. The backward pass counts twice the forward one; the gradient with "
    "respect to the images, which nobody computes, is counted with it. Convolutions can be faster "
    "than matrix products (convolution_flops_per_second), and Winograd's do fewer operations: a "
    "share may be above 1",
    "on a GPU: the conventional loop's convolutions are rounded to TF32, PyTorch's default; plain "
    "fp32 and the matrix rate are not. eager: plain kernels without CUDA graphs",
    "share_of_copy_rate: traffic_bytes * images_per_second / copy_bytes_per_second. traffic_bytes: "
    "14 times the outputs of all convolutions for one image, at 4 or 2 bytes: what convolution, "
    "BatchNorm and ReLU read and write if nothing is fused and nothing stays in a cache",
    "peak_memory_bytes: resident memory of the process during rounds, libraries included; on a "
    "GPU what its tensors took. workers_memory_bytes: what the processes that load images hold "
    "for themselves",
    "conventional: its workers load images beside num_threads training threads, also beside one, "
    "and what they load while it rests is in its favour, two batches for each",
    f"waiting: plain fp32, first network only, on a CPU. Ratio against threads that wait "
    f"{LIBRARY}; beside none and two processes that want a core each. At rest the machine must do "
    "nothing else",
    "recovery: by the plain kernels. per_copy: against copying as many floats as the network has "
    "weights",
    "sweep: seconds of the whole command, from the start of Python to its end; ratio: how many "
    "times faster than before, of the rounds. peak_memory_bytes: of one process",
)
