#!/usr/bin/env bash
# PyTorch on a CPU, in a process whose address space is limited (ulimit -v, h_vmem of some clusters) and then is not.
#
# Guessed: a convolution that fails for want of memory says so, and the same one is done once there is memory.
# Seen, torch 2.14.1:
#   If the first convolution of a process meets the limit while oneDNN sets itself up, every later one of 3 x 3 or 5 x 5
#     fails with "could not create a primitive", on images of another shape as well, however much memory there is then.
#   The error at the limit may be just that, without a word of memory, or an allocator's. After an allocator's all goes on
#     or nothing does, by how far the set-up had come.
# So a process that trains one network after another is to be replaced after such an error: later runs may all fail.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv && venv/bin/pip -q install torch==2.14.1 numpy==2.2.6

cat >show.py <<'PY'
import resource
import subprocess
import sys

KILOBYTES_LEFT = range(100, 6000, 200)
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def convolve(images, size):
    import torch

    try:
        torch.nn.functional.conv2d(images, torch.ones(16, 16, size, size))
    except RuntimeError as error:
        return "primitive" if str(error) == "could not create a primitive" else "memory"
    return "done"


def main(kilobytes):
    import torch

    torch.set_num_threads(1)
    images = torch.ones(64, 16, 32, 32)
    in_use = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + kilobytes * 1000, resource.RLIM_INFINITY))
    limited = convolve(images, 3)
    resource.setrlimit(resource.RLIMIT_AS, UNLIMITED)
    print(f"limited: {limited}; then without a limit:", convolve(images, 3), convolve(images[:8], 5))


if len(sys.argv) > 1:
    main(int(sys.argv[1]))
else:
    lines = {
        subprocess.run([sys.executable, __file__, str(left)], capture_output=True, text=True).stdout
        for left in KILOBYTES_LEFT
    }
    print(*sorted(line for line in lines if "limited: done" not in line), sep="", end="")
PY
found=$(OMP_NUM_THREADS=1 venv/bin/python show.py)
echo "$found"
diff <(echo "$found") - <<'SEEN'
limited: memory; then without a limit: done done
limited: memory; then without a limit: primitive primitive
limited: primitive; then without a limit: primitive primitive
SEEN
echo "as described"
