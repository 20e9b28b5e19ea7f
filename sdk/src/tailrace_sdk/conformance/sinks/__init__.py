"""Standard tests of sinks, and how their other side is seen.

::

    from tailrace_sdk.conformance import SinkConformance
    from tailrace_sdk.conformance.sinks import FolderReceiver, Receiver


    class TestDrop(SinkConformance):
        target = "tailrace_sink_drop"
        name = "drop"

        @pytest.fixture
        def receiver(self, tmp_path: Path) -> Receiver:
            return FolderReceiver(tmp_path / "dropped")

A :class:`Receiver` says where the sink is to deliver, and what arrived there. There are receivers for a folder, a mail
server and a webhook server; one for anything else is a class of ten lines.
"""

from tailrace_sdk.conformance.sinks.conformance import SinkConformance as SinkConformance
from tailrace_sdk.conformance.sinks.receiver import Arrival as Arrival
from tailrace_sdk.conformance.sinks.receiver import Receiver as Receiver
from tailrace_sdk.conformance.sinks.receivers import FolderReceiver as FolderReceiver
from tailrace_sdk.conformance.sinks.receivers import MailReceiver as MailReceiver
from tailrace_sdk.conformance.sinks.receivers import WebhookReceiver as WebhookReceiver
from tailrace_sdk.servers.faults import Fault as Fault
