"""The artifact store: immutable objects named by sha256, small JSON refs, a few named files.

Same layout as src/artifacts/store.ts: `objects/<first2>/<sha256>`, `refs/<kind>/<key>.json`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from .errors import ArtifactMissing, DataDefect, InvalidInput
from .hashing import canonical_json, sha256_hex

if TYPE_CHECKING:
    from obstore.store import RetryConfig

_HASH = re.compile(r"[0-9a-f]{64}")


class ArtifactCorrupt(DataDefect):
    """An object's bytes do not have the hash that names it."""


class ArtifactStore:
    """Content-addressed store on a folder (`file:///…`) or S3 (`s3://bucket/prefix`, standard AWS env).

    Every write is atomic: the local store writes a staging file and renames it, S3 shows whole objects only.
    """

    def __init__(self, url: str, *, retries: int = 5) -> None:
        self.url = url
        self._store = _open(url, retries)

    def put(self, data: bytes) -> str:
        """Stores the bytes under their hash and returns it; a whole object is never rewritten."""
        name = sha256_hex(data)
        path = _object_path(name)
        if self._size(path) != len(data):
            with _reachable(path):
                obstore.put(self._store, path, data)
        return name

    def get(self, name: str) -> bytes:
        """The object's bytes, hash checked. Raises ArtifactMissing (retryable) or ArtifactCorrupt."""
        data = self._read(_object_path(name))
        if data is None:
            raise ArtifactMissing(f"object {name} is not in {self.url}")
        found = sha256_hex(data)
        if found != name:
            raise ArtifactCorrupt(f"object {name} in {self.url} has the bytes of {found}")
        return data

    def get_json(self, name: str) -> Any:
        """The object's JSON."""
        return json.loads(self.get(name))

    def put_json(self, value: Any) -> str:
        """Stores the canonical JSON of the value."""
        return self.put(canonical_json(value))

    def has(self, name: str) -> bool:
        """Whether the object exists (its bytes are not read)."""
        return self._size(_object_path(name)) is not None

    def delete(self, name: str) -> None:
        """Removes an object; one that is not there is no error."""
        with _reachable(name):
            try:
                obstore.delete(self._store, _object_path(name))
            except FileNotFoundError:
                return

    def get_ref(self, kind: str, key: str) -> dict[str, Any] | None:
        """The small JSON under `refs/<kind>/<key>.json`; None where there is none."""
        data = self._read(_ref_path(kind, key))
        if data is None:
            return None
        value = json.loads(data)
        return value if isinstance(value, dict) else None

    def put_ref(self, kind: str, key: str, value: dict[str, Any]) -> None:
        """Writes a ref; refs are replaced whole."""
        path = _ref_path(kind, key)
        with _reachable(path):
            obstore.put(self._store, path, canonical_json(value))

    def _read(self, path: str) -> bytes | None:
        with _reachable(path):
            try:
                return obstore.get(self._store, path).bytes().to_bytes()
            except FileNotFoundError:
                return None

    def _size(self, path: str) -> int | None:
        with _reachable(path):
            try:
                return obstore.head(self._store, path)["size"]
            except FileNotFoundError:
                return None


def _open(url: str, retries: int) -> LocalStore | S3Store:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return LocalStore(prefix=Path(unquote(parts.path)), mkdir=True)
    if parts.scheme == "s3":
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        prefix = parts.path.strip("/") or None
        retry: RetryConfig = {"max_retries": retries, "retry_timeout": timedelta(seconds=60)}
        if endpoint is None:
            return S3Store(parts.netloc, prefix=prefix, retry_config=retry)
        # The library refuses plain http unless told so; an http endpoint of one's own is told by its URL.
        return S3Store(
            parts.netloc,
            prefix=prefix,
            endpoint=endpoint,
            client_options={"allow_http": endpoint.startswith("http://")},
            retry_config=retry,
        )
    raise InvalidInput(f"ARTIFACT_URL must start with file:// or s3://, not {url!r}")


@contextmanager
def _reachable(path: str) -> Iterator[None]:
    """Turns what the store itself reports (network, permission, disk) into a retryable failure."""
    try:
        yield
    except (BaseError, OSError) as error:
        raise ArtifactMissing(f"artifact store: {path}: {error}") from error


def _object_path(name: str) -> str:
    if _HASH.fullmatch(name) is None:
        raise InvalidInput(f"not an artifact hash: {name!r}")
    return f"objects/{name[:2]}/{name}"


def _ref_path(kind: str, key: str) -> str:
    return f"refs/{kind}/{key}.json"
