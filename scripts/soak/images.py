"""A random CIFAR-10, in the file format of the real one."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from rps_bench.datasets.info import DATASETS

NUM_IMAGES = {"train": 200, "test": 60}


def write_images(root: Path, num_images: Mapping[str, int] = NUM_IMAGES) -> None:
    """Write a random CIFAR-10, so that runs decode images."""
    info = DATASETS["cifar10"]
    assert info.hub is not None
    folder = root / info.hub.local_folder
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for split, count in num_images.items():
        rows = []
        for pixels in generator.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            rows.append({"bytes": buffer.getvalue(), "path": None})
        table = pa.table({"img": pa.array(rows, kind), "label": [i % 10 for i in range(count)]})
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")
