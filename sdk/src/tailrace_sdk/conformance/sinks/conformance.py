"""The class that authors of sinks subclass."""

from tailrace_sdk.conformance.sinks.arriving import Arriving
from tailrace_sdk.conformance.sinks.contract import Contract
from tailrace_sdk.conformance.sinks.disks import Disks
from tailrace_sdk.conformance.sinks.failing import Failing
from tailrace_sdk.conformance.sinks.recipients import Recipients
from tailrace_sdk.conformance.sinks.secrets import Secrecy
from tailrace_sdk.conformance.sinks.stopping import Stopping


class SinkConformance(Contract, Arriving, Failing, Disks, Stopping, Secrecy, Recipients):
    """Standard tests for a sink: subclass it, say what the sink is and can, and give it a receiver.

    The fixture ``receiver`` returns the :class:`~tailrace_sdk.conformance.sinks.Receiver` that the sink delivers to.
    """
