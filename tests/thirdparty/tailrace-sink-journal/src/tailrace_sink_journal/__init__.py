"""A sink that notes each delivery in a text file: what a third party writes in an afternoon."""

from pathlib import Path

import attrs

from tailrace import DeliverCall, Receipt, Sink, StagingCall, hookimpl, option


@attrs.frozen
class JournalOptions:
    """Options of the sink ``journal``."""

    path: Path = option(Path("journal.txt"), help="The text file; a line is added for each delivery.")


class JournalSink:
    """Adds a line with name, size and digest of each file to a journal."""

    summary = "Notes each delivery in a text file"
    options_type = JournalOptions

    def staging(self, call: StagingCall) -> Path | None:
        """Any folder will do."""
        return None

    def deliver(self, call: DeliverCall) -> Receipt:
        """Add the line."""
        file = call.parcel.manifest.file
        path = Path(call.target) if call.target else call.options.path
        with path.open("a") as journal:
            journal.write(f"{file.name} {file.size} {file.sha256}\n")
        return Receipt(sink="journal", delivered=True, place=f"noted in {path}")


@hookimpl
def tailrace_sink() -> Sink:
    """Register it."""
    return JournalSink()
