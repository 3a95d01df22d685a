#!/usr/bin/env bash
# kmeans1d, the exact k-means of numbers, where there are more clusters than different numbers, or an offset.
#
# Guessed: more clusters than different numbers raise an error, or give a centroid twice; adding a constant to all
# numbers changes nothing, since float64 holds them.
# Seen, kmeans1d 0.5.0:
#   A cluster without numbers gets the centroid 0.0, which is no mean of anything, and comes first: the labels of the
#     others begin at 1. A codebook made of the centroids holds a value that was not in the data.
#   With 10,000 added to 20,000 normal numbers of std 0.001 the "optimal" clustering has a fourth more error: its sums of
#     squares cancel. Taking the mean off first gives the exact one back.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv && venv/bin/pip -q install kmeans1d==0.5.0 numpy==2.2.6

cat >show.py <<'PY'
import kmeans1d
import numpy as np

for numbers, k in (([1.0, 1.0, 2.0, 2.0], 3), ([5.0, 5.0, 5.0], 2)):
    found = kmeans1d.cluster(numbers, k)
    print(numbers, k, "labels", found.clusters, "centroids", found.centroids)


def relative_error(numbers):
    labels, centroids = kmeans1d.cluster(numbers, 8)
    return ((numbers - np.array(centroids)[labels]) ** 2).mean() / numbers.var()


normal = np.random.default_rng(0).standard_normal(20_000) / 1000
for offset in (0, 1, 10_000):
    print(f"offset {offset}: relative error {relative_error(normal + offset):.4f}")
PY
found=$(venv/bin/python show.py)
echo "$found"
diff <(echo "$found") - <<'SEEN'
[1.0, 1.0, 2.0, 2.0] 3 labels [1, 1, 2, 2] centroids [0.0, 1.0, 2.0]
[5.0, 5.0, 5.0] 2 labels [1, 1, 1] centroids [0.0, 5.0]
offset 0: relative error 0.0347
offset 1: relative error 0.0347
offset 10000: relative error 0.0431
SEEN
echo "as described"
