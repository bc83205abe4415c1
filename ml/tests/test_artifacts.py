"""The artifact store on a folder and on S3 (a local moto server)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from support.market import Market, build_market
from support.night import fit_input

from nightshift_ml.artifacts import ArtifactCorrupt, ArtifactStore
from nightshift_ml.errors import ArtifactMissing, InvalidInput
from nightshift_ml.hashing import sha256_hex
from nightshift_ml.jobs import JobContext, run_job


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> ArtifactStore:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket="night")
    return ArtifactStore("s3://night/some/prefix")


@pytest.fixture(params=["file", "s3"])
def any_store(request: pytest.FixtureRequest) -> ArtifactStore:
    fixture = {"file": "store", "s3": "s3"}[request.param]
    found: ArtifactStore = request.getfixturevalue(fixture)
    return found


def test_objects_and_refs(any_store: ArtifactStore) -> None:
    data = b"night" * 1000
    name = any_store.put(data)
    assert name == sha256_hex(data)
    assert any_store.put(data) == name
    assert any_store.get(name) == data
    assert any_store.has(name)
    assert not any_store.has("0" * 64)
    with pytest.raises(ArtifactMissing, match=r"object 0+ is not in"):
        any_store.get("0" * 64)

    assert any_store.get_ref("folds", "a" * 64) is None
    any_store.put_ref("folds", "a" * 64, {"modelHash": name})
    any_store.put_ref("folds", "a" * 64, {"modelHash": name, "trees": None})
    assert any_store.get_ref("folds", "a" * 64) == {"modelHash": name, "trees": None}

    assert any_store.get_json(any_store.put_json({"b": 1, "a": [1.5, None]})) == {"a": [1.5, None], "b": 1}
    any_store.delete(name)
    any_store.delete(name)
    assert not any_store.has(name)


def test_a_fit_runs_on_any_store(any_store: ArtifactStore) -> None:
    name = build_market(Market(sessions=200, blocks=2, block_sessions=20)).write(any_store)
    given = fit_input(name, "logisticRegression", blockIndex=1)
    first = run_job("fitFold", given, JobContext(any_store))
    again = run_job("fitFold", given, JobContext(any_store))
    assert (first["fitReused"], again["fitReused"]) == (False, True)
    assert again["predictionsHash"] == first["predictionsHash"]


def test_layout_and_damage_on_a_folder(tmp_path: Path) -> None:
    store = ArtifactStore(f"file://{tmp_path}/a%20folder")
    name = store.put(b"bytes")
    path = tmp_path / "a folder" / "objects" / name[:2] / name
    assert path.read_bytes() == b"bytes"
    store.put_ref("folds", "k", {"x": 1})
    assert (tmp_path / "a folder" / "refs" / "folds" / "k.json").read_text() == '{"x":1}'

    path.write_bytes(b"other")
    with pytest.raises(ArtifactCorrupt, match="has the bytes of"):
        store.get(name)
    path.write_bytes(b"by")  # cut by a full disk: the next writer repairs it
    assert store.put(b"bytes") == name
    assert store.get(name) == b"bytes"
    with pytest.raises(InvalidInput, match="not an artifact hash"):
        store.get("../../etc/passwd")


def test_a_present_object_is_not_written_again(tmp_path: Path) -> None:
    store = ArtifactStore(f"file://{tmp_path}")
    name = store.put(b"bytes")
    path = tmp_path / "objects" / name[:2] / name
    before = path.stat()
    store.put(b"bytes")
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_unknown_scheme_and_unreachable_store(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="ARTIFACT_URL must start with"):
        ArtifactStore("ftp://somewhere")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store = ArtifactStore("s3://night", retries=0)
    with pytest.raises(ArtifactMissing, match="artifact store: "):
        store.get("0" * 64)
