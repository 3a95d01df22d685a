"""Downloads from a loopback server that also truncates, stalls, lies and says no."""

import dataclasses
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rps_bench.core.errors import UserError
from rps_bench.datasets import DATASETS, download, load_dataset
from rps_bench.datasets.download import DownloadError, DownloadPolicy, Expected, fetch
from rps_bench.datasets.obtain import obtain
from tests.patience import PATIENCE_SECONDS, wait_until

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
API = "/api/datasets/uoft-cs/cifar10/tree/main/plain_text"


def quick(server: Any, **changes: Any) -> DownloadPolicy:
    """All addresses on the loopback server, with hardly a pause between tries."""
    policy = DownloadPolicy(
        hub_url=server.url,
        archive_url=f"{server.url}/cifar.tar.gz",
        timeout_seconds=PATIENCE_SECONDS,
        num_tries=2,
        backoff_seconds=0.01,
    )
    return dataclasses.replace(policy, **changes)


def names_below(folder: Path) -> list[str]:
    """Every file below a folder, locks and caches left out."""
    found = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    return sorted(name for name in found if not name.endswith(".lock") and "decoded" not in name)


def test_fetch_good_file(server: Any, tmp_path: Path) -> None:
    server.routes["/file"] = CONTENT
    expected = Expected(size_bytes=len(CONTENT), digest=SHA256)
    fetch(f"{server.url}/file", tmp_path / "file", expected, quick(server))
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert names_below(tmp_path) == ["file"]
    assert server.asked == ["/file"]


@pytest.mark.parametrize(
    ("answer", "expected", "reason"),
    [
        ("truncate", Expected(), "expected 10240 bytes, found 5120"),
        ("truncate", Expected(size_bytes=10240), "expected 10240 bytes, found 5120"),
        ("stall", Expected(), "timed out"),
        ("good", Expected(digest="0" * 64), f"expected sha256 {'0' * 64}, found {SHA256}"),
        ("good", Expected(size_bytes=10239), "expected 10239 bytes, found more"),
        ("good", Expected(size_bytes=10241), "expected 10241 bytes, found 10240"),
    ],
)
def test_fetch_bad_file_fails_after_all_tries(
    server: Any, tmp_path: Path, answer: str, expected: Expected, reason: str
) -> None:
    server.routes["/file"] = CONTENT if answer == "good" else getattr(server, answer)(CONTENT)
    (tmp_path / "file").write_bytes(b"old")
    policy = quick(server, timeout_seconds=0.2 if answer == "stall" else PATIENCE_SECONDS)
    with pytest.raises(DownloadError, match=f"/file \\(.*{reason}"):
        fetch(f"{server.url}/file", tmp_path / "file", expected, policy)
    if answer != "stall":  # which the client may give up on before the server has heard it
        assert server.asked == ["/file"] * 2
    assert names_below(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_fetch_tries_again(server: Any, tmp_path: Path) -> None:
    bad_then_good = [server.truncate(CONTENT)]

    def answer(handler: Any) -> None:
        if bad_then_good:
            bad_then_good.pop()(handler)
        else:
            server.send(handler, CONTENT, len(CONTENT))

    server.routes["/file"] = answer
    fetch(f"{server.url}/file", tmp_path / "file", Expected(digest=SHA256), quick(server))
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "num_asked"), [(404, 1), (403, 1), (503, 2)])
def test_fetch_asks_again_only_where_it_can_help(
    server: Any, tmp_path: Path, status: int, num_asked: int
) -> None:
    server.routes["/file"] = lambda handler: handler.send_error(status)
    with pytest.raises(DownloadError, match=f"HTTP status {status}"):
        fetch(f"{server.url}/file", tmp_path / "file", Expected(), quick(server))
    assert len(server.asked) == num_asked


def test_hub_download_then_no_more(samples: Any, server: Any, tmp_path: Path) -> None:
    paths = server.serve_hub(samples.write_parquet(tmp_path / "hub"))
    root = tmp_path / "new" / "data"
    dataset = load_dataset("cifar10", root, quick(server))
    assert np.array_equal(dataset.train.images.numpy(), samples.train())
    assert sorted(server.asked) == sorted([API, *paths])
    assert names_below(root) == [
        "cifar10/plain_text/test-00000-of-00001.parquet",
        "cifar10/plain_text/train-00000-of-00002.parquet",
        "cifar10/plain_text/train-00001-of-00002.parquet",
    ]
    load_dataset("cifar10", root, quick(server))
    assert len(server.asked) == 4


def serve_archive(samples: Any, server: Any, folder: Path, monkeypatch: Any) -> None:
    """Serve a small official archive and make its MD5 the expected one."""
    packed = samples.pack_cifar10(folder)
    server.routes["/cifar.tar.gz"] = packed
    info = DATASETS["cifar10"]
    assert info.archive is not None
    archive = dataclasses.replace(info.archive, md5=hashlib.md5(packed).hexdigest())
    monkeypatch.setitem(DATASETS, "cifar10", dataclasses.replace(info, archive=archive))


def break_listing(server: Any, paths: list[str]) -> None:
    server.routes[API] = b"<html>sign in</html>"


def lose_listing(server: Any, paths: list[str]) -> None:
    del server.routes[API]


def lose_test_split(server: Any, paths: list[str]) -> None:
    listing = json.loads(server.routes[API])
    kept = [entry for entry in listing if "test-" not in entry["path"]]
    server.routes[API] = json.dumps(kept).encode()


def lose_last_shard(server: Any, paths: list[str]) -> None:
    del server.routes[paths[-1]]


def corrupt_shard(server: Any, paths: list[str]) -> None:
    data = bytearray(server.routes[paths[0]])
    data[100] ^= 1
    server.routes[paths[0]] = bytes(data)


def stall_shard(server: Any, paths: list[str]) -> None:
    server.routes[paths[0]] = server.stall(server.routes[paths[0]])


def be_impatient_with(stalling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for one address for a moment only, for all others as long as it takes."""
    fetch_once = download._fetch_once

    def patched(url: str, partial: Path, expected: Expected, timeout_seconds: float) -> None:
        fetch_once(url, partial, expected, 0.2 if url == stalling else timeout_seconds)

    monkeypatch.setattr(download, "_fetch_once", patched)


def truncate_shard(server: Any, paths: list[str]) -> None:
    server.routes[paths[0]] = server.truncate(server.routes[paths[0]])


@pytest.mark.parametrize(
    "damage",
    [
        break_listing,
        lose_listing,
        lose_test_split,
        lose_last_shard,
        corrupt_shard,
        stall_shard,
        truncate_shard,
    ],
)
def test_archive_stands_in_for_a_broken_hub(
    samples: Any,
    server: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[Any, list[str]], None],
) -> None:
    paths = server.serve_hub(samples.write_parquet(tmp_path / "hub", seed=7))
    damage(server, paths)
    if damage is stall_shard:
        be_impatient_with(server.url + paths[0], monkeypatch)
    serve_archive(samples, server, tmp_path / "official", monkeypatch)
    root = tmp_path / "data"
    dataset = load_dataset("cifar10", root, quick(server))
    assert np.array_equal(dataset.train.images.numpy(), samples.train())  # not the hub's seed 7
    assert all(name.startswith("cifar-10-batches-py/") for name in names_below(root))


def test_all_failures_are_one_line_and_leave_nothing(server: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_dataset("cifar10", tmp_path / "data", quick(server))
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        f"{server.url}{API} (HTTP status 404)",
        f"{server.url}/cifar.tar.gz (HTTP status 404)",
        f"into {tmp_path / 'data' / 'cifar10' / 'plain_text'}",
        "uoft-cs/cifar10",
        "cifar-10-python.tar.gz",
        "RPS_BENCH_DATA",
        "data_root",
    ):
        assert part in message
    assert names_below(tmp_path) == []


def test_wrong_archive_is_refused(server: Any, tmp_path: Path) -> None:
    server.routes["/cifar.tar.gz"] = CONTENT
    with pytest.raises(UserError, match="expected md5 c58f30108f718f92721af3b95e74349a, found"):
        load_dataset("cifar10", tmp_path / "data", quick(server))


def test_unreachable_server_is_said(server: Any, tmp_path: Path) -> None:
    policy = quick(server, hub_url="http://127.0.0.1:9", archive_url="http://127.0.0.1:9/x")
    with pytest.raises(UserError, match=r"plain_text \(.*refused.*9/x \(.*refused"):
        load_dataset("cifar10", tmp_path / "data", policy)


def test_hub_names_cannot_leave_the_folder(samples: Any, server: Any, tmp_path: Path) -> None:
    server.serve_hub(samples.write_parquet(tmp_path / "hub"))
    listing = json.loads(server.routes[API])
    listing[1]["path"] = "plain_text/test-..\\..\\x.parquet"
    server.routes[API] = json.dumps(listing).encode()
    with pytest.raises(UserError, match=r"no test-\*\.parquet is listed"):
        load_dataset("cifar10", tmp_path / "data", quick(server))


def test_read_only_root_without_data_is_said(server: Any, tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    root.chmod(0o555)
    with pytest.raises(UserError, match=r"nothing can be written there.*By hand: put the train-\*"):
        load_dataset("cifar10", root, quick(server))
    assert server.asked == []


def test_left_over_staging_is_cleared(samples: Any, server: Any, tmp_path: Path) -> None:
    server.serve_hub(samples.write_parquet(tmp_path / "hub"))
    left_over = tmp_path / "data" / ".downloading-cifar10"
    left_over.mkdir(parents=True)
    (left_over / "train-99999.parquet").write_bytes(b"half")
    obtain(DATASETS["cifar10"], tmp_path / "data", quick(server))
    assert not left_over.exists()
    assert len(names_below(tmp_path / "data")) == 3


def test_two_processes_download_once(samples: Any, server: Any, tmp_path: Path) -> None:
    paths = server.serve_hub(samples.write_parquet(tmp_path / "hub"))
    slow_shard = server.routes[paths[0]]

    def answer_slowly(handler: Any) -> None:
        time.sleep(1.0)
        server.send(handler, slow_shard, len(slow_shard))

    server.routes[paths[0]] = answer_slowly
    code = (  # importing all first lets both ask at the same time
        "import sys\n"
        "from pathlib import Path\n"
        "from rps_bench.datasets import load_dataset, sources\n"
        "from rps_bench.datasets.download import DownloadPolicy\n"
        "Path(sys.argv[3]).touch()\n"
        "policy = DownloadPolicy(hub_url=sys.argv[2], timeout_seconds=900)\n"
        "dataset = load_dataset('cifar10', sys.argv[1], policy)\n"
        "print(dataset.train.images.sum().item())\n"
    )
    ready = tmp_path / "ready"
    other = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "data", server.url, ready],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    with other:
        wait_until(lambda: ready.exists() or other.poll() is not None, "the other's imports")
        dataset = load_dataset("cifar10", tmp_path / "data", quick(server))
        said, _ = other.communicate()
    total = int(samples.train().sum(dtype=np.int64))
    assert said == f"{total}\n"
    assert dataset.train.images.sum().item() == total
    assert sorted(server.asked) == sorted([API, *paths])
