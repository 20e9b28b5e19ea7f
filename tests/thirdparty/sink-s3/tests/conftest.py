from collections.abc import Iterator

import pytest
from storage_server import BucketReceiver, StorageServer, storage_server


@pytest.fixture(scope="session")
def server() -> Iterator[StorageServer]:
    with storage_server() as running:
        yield running


@pytest.fixture
def receiver(server: StorageServer) -> Iterator[BucketReceiver]:
    yield BucketReceiver(server)
    server.recover()
