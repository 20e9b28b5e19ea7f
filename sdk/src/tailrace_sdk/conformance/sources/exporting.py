"""Exporting what a source reads with the fakes of the kit, as a whole."""

from pathlib import Path

from tailrace import CredentialMode, Engine, ExportRequest, SinkRequest
from tailrace_sdk.conformance.sources.case import SourceCase
from tailrace_sdk.conformance.sources.placed import Placed
from tailrace_sdk.fakes import FolderSink, LinesFormat


class ExportingCase(SourceCase):
    """What tests of whole exports have in common."""

    def exporting(self, home: Path) -> Engine:
        """An engine that exports lines of JSON into a folder."""
        return self.make_engine(home, ("lines", LinesFormat()), ("folder", FolderSink()))

    def to_lines(
        self, placed: Placed, out: Path, credentials: CredentialMode = CredentialMode.SANITIZED
    ) -> ExportRequest:
        """An export of everything into one file."""
        options = {f"source.{self.name}.{name}": value for name, value in {**self.options, **placed.options}.items()}
        return ExportRequest(
            self.name,
            placed.location,
            "lines",
            options={**options, "format.lines.together": True},
            credentials=credentials,
            sinks=(SinkRequest("folder", str(out)),),
            compress=False,
        )
