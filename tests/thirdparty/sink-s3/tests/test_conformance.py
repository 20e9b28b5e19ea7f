from collections.abc import Iterator
from typing import ClassVar

import pytest
from storage_server import BucketReceiver, StorageServer
from tailrace_sdk.conformance import SinkConformance
from tailrace_sdk.conformance.sinks import Receiver


class TestS3(SinkConformance):
    target = "tailrace_sink_s3"
    name = "s3"
    checks_targets = configurable = judges_sizes = describes = transactional = idempotent = True
    IMPATIENT: ClassVar = {"timeout": 0.5}
    HOPELESS = (None, "", "s3://", "s3://No_Bucket/x", "exports/../x", "exports//x", "exports/{no_such_field}")
    # Some parts are in memory at once, each of at least 5 MiB: too many for a file of 64 MiB to be large beside them.
    LARGE: ClassVar[int] = 128 << 20

    @pytest.fixture
    def receiver(self, server: StorageServer) -> Iterator[Receiver]:
        yield BucketReceiver(server)
        server.recover()
