"""Small stand-ins of every source, and a loopback server that can misbehave."""

import hashlib
import http.server
import io
import json
import pickle
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from rps_bench.datasets import DATASETS


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads or writes the user's data, or goes through a proxy."""
    monkeypatch.delenv("RPS_BENCH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user_cache"))
    monkeypatch.setenv("no_proxy", "*")


class Samples:
    """Writes tiny datasets in every layout; the pixels it wrote are what loading must give."""

    num_train = 30
    num_test = 20

    def pixels(self, count: int, size: int = 32, seed: int = 0) -> NDArray[np.uint8]:
        """Random images (count, 3, size, size)."""
        rng = np.random.default_rng(seed)
        return rng.integers(0, 256, (count, 3, size, size), dtype=np.uint8)

    def encode(self, image: NDArray[np.uint8], kind: str = "PNG", mode: str = "RGB") -> bytes:
        """One (3, H, W) image as an encoded file."""
        buffer = io.BytesIO()
        options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
        Image.fromarray(image.transpose(1, 2, 0)).convert(mode).save(buffer, kind, **options)
        return buffer.getvalue()

    def write_shard(
        self,
        path: Path,
        encoded: list[bytes | None],
        labels: list[Any],
        columns: tuple[str, str] = ("img", "label"),
    ) -> None:
        """One parquet shard."""
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"bytes": data, "path": None} for data in encoded]
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        pq.write_table(pa.table({columns[0]: pa.array(rows, kind), columns[1]: labels}), path)

    def write_parquet(self, root: Path, name: str = "cifar10", seed: int = 0) -> Path:
        """Two train shards and a test shard of PNG images; label i % num_classes."""
        info = DATASETS[name]
        assert info.hub is not None
        folder = root / info.hub.local_folder
        encoded = [self.encode(image) for image in self.train(info.image_size, seed)]
        labels = [row % info.num_classes for row in range(self.num_train)]
        self.write_shard(folder / "train-00000-of-00002.parquet", list(encoded[:13]), labels[:13])
        self.write_shard(folder / "train-00001-of-00002.parquet", list(encoded[13:]), labels[13:])
        test = [self.encode(image) for image in self.test(info.image_size, seed)]
        self.write_shard(
            folder / "test-00000-of-00001.parquet", list(test), labels[: self.num_test]
        )
        return folder

    def train(self, size: int = 32, seed: int = 0) -> NDArray[np.uint8]:
        """The training pixels of every layout."""
        return self.pixels(self.num_train, size, seed)

    def test(self, size: int = 32, seed: int = 0) -> NDArray[np.uint8]:
        """The test pixels of every layout."""
        return self.pixels(self.num_test, size, seed + 1000)

    def write_cifar10_archive(self, root: Path) -> Path:
        """``cifar-10-batches-py`` with five batches of six images."""
        folder = root / "cifar-10-batches-py"
        folder.mkdir(parents=True)
        rows = self.train().reshape(self.num_train, -1)
        for batch in range(5):
            part = slice(6 * batch, 6 * batch + 6)
            labels = [row % 10 for row in range(self.num_train)][part]
            content = {b"data": rows[part], b"labels": labels}
            (folder / f"data_batch_{batch + 1}").write_bytes(pickle.dumps(content, protocol=2))
        labels = [row % 10 for row in range(self.num_test)]
        content = {b"data": self.test().reshape(self.num_test, -1), b"labels": labels}
        (folder / "test_batch").write_bytes(pickle.dumps(content, protocol=2))
        return folder

    def pack_cifar10(self, folder: Path) -> bytes:
        """The official tar.gz of the small batches."""
        self.write_cifar10_archive(folder)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            tar.add(folder / "cifar-10-batches-py", "cifar-10-batches-py")
        return buffer.getvalue()

    def write_tiny_archive(self, root: Path) -> Path:
        """``tiny-imagenet-200`` with images of the first three wnids, listed out of order."""
        folder = root / "tiny-imagenet-200"
        wnids = [f"n{number:08d}" for number in range(200)]
        (folder / "val" / "images").mkdir(parents=True)
        (folder / "wnids.txt").write_text("\n".join(reversed(wnids)) + "\n")
        for row, image in enumerate(self.pixels(9, 64)):
            images = folder / "train" / wnids[row // 3] / "images"
            images.mkdir(parents=True, exist_ok=True)
            (images / f"{wnids[row // 3]}_{row % 3}.JPEG").write_bytes(self.encode(image, "JPEG"))
        lines = []
        for row, image in enumerate(self.pixels(4, 64, seed=1)):
            kind = "L" if row == 1 else "RGB"
            data = self.encode(image, "JPEG", kind)
            (folder / "val" / "images" / f"val_{row}.JPEG").write_bytes(data)
            lines.append(f"val_{row}.JPEG\t{wnids[199 - row]}\t0\t0\t62\t62\n")
        (folder / "val" / "val_annotations.txt").write_text("".join(lines))
        return folder


@pytest.fixture
def samples() -> Samples:
    return Samples()


class Server:
    """A loopback web server; ``routes`` says what each path answers, ``asked`` what was asked."""

    def __init__(self) -> None:
        self.routes: dict[str, bytes | Callable[[Any], None]] = {}
        self.asked: list[str] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                answer = server.routes.get(self.path)
                if answer is None:
                    self.send_error(404)
                elif callable(answer):
                    answer(self)
                else:
                    server.send(self, answer, len(answer))

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @staticmethod
    def send(handler: Any, data: bytes, declared: int) -> None:
        """Answer 200 with a declared length that may be a lie."""
        handler.send_response(200)
        handler.send_header("Content-Length", str(declared))
        handler.end_headers()
        handler.wfile.write(data)

    def truncate(self, data: bytes) -> Callable[[Any], None]:
        """Promise all, send half, close."""
        return lambda handler: self.send(handler, data[: len(data) // 2], len(data))

    def stall(self, data: bytes) -> Callable[[Any], None]:
        """Promise all, send half, then keep silent until the client has gone."""

        def answer(handler: Any) -> None:
            self.send(handler, data[: len(data) // 2], len(data))
            handler.wfile.flush()
            with suppress(OSError):
                handler.rfile.read(1)

        return answer

    def serve_hub(self, folder: Path, repository: str = "uoft-cs/cifar10") -> list[str]:
        """Serve a folder of shards as the hub would; returns the shards' paths."""
        listing = [{"type": "file", "path": f"{folder.name}/README.md", "size": 1, "oid": "0"}]
        paths = []
        for shard in sorted(folder.iterdir()):
            data = shard.read_bytes()
            lfs = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
            entry: Any = {"path": f"{folder.name}/{shard.name}", "size": len(data), "lfs": lfs}
            listing.append(entry)
            paths.append(f"/datasets/{repository}/resolve/main/{folder.name}/{shard.name}")
            self.routes[paths[-1]] = data
        api = f"/api/datasets/{repository}/tree/main/{folder.name}"
        self.routes[api] = json.dumps(listing).encode()
        return paths

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()
