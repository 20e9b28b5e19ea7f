"""The sink ``s3``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailrace import (
    AlreadyExistsError,
    DeliverCall,
    Fit,
    FitCall,
    PermanentError,
    Receipt,
    StagingCall,
    TransientError,
    encode_manifest,
    readable_size,
)
from tailrace_sink_s3.options import S3Options
from tailrace_sink_s3.place import Place, place_of
from tailrace_sink_s3.settings import S3Settings

if TYPE_CHECKING:
    from tailrace_sink_s3.storage import Bucket, Found

NAME = "s3"
_SHA256, _EXPORT = "tailrace-sha256", "tailrace-export"


class S3Sink:
    """Puts finished files into buckets."""

    summary = "S3 and what speaks like it: objects that appear whole, with their manifests."
    options_type: type = S3Options
    settings_type: type = S3Settings

    def staging(self, call: StagingCall) -> Path | None:
        """Nowhere in particular: the file is sent when it is finished.

        Raises:
            RequestError: The target cannot be used.
            ConfigurationError: There are no credentials.
        """
        self.check_target(call)
        return None

    def check_target(self, call: StagingCall) -> None:
        """Refuse what no delivery could reach, by names alone.

        Raises:
            RequestError: The target cannot be used.
            NotAllowedError: A bucket that the operator does not allow.
            ConfigurationError: There are no credentials.
        """
        from tailrace_sink_s3.storage import check_credentials

        settings = _settings(call.settings)
        place_of(call, settings)
        check_credentials(settings)

    def fits(self, call: FitCall) -> Fit:
        """Whether a file of that size is taken."""
        limit = _settings(call.settings).limit
        sizes = f"It has {readable_size(call.size)}, and an object may have {readable_size(limit)}."
        return Fit(NAME, fits=call.size <= limit, text=sizes)

    def deliver(self, call: DeliverCall) -> Receipt:
        """Deliver once: file, then manifest. Doing it again is harmless.

        Raises:
            RequestError: The target cannot be used.
            ConfigurationError: A secret, or something else that is set, is missing or of no use.
            AlreadyExistsError: The key is taken by something else.
            TransientError: Trying again may help.
            PermanentError: It will not.
        """
        from tailrace_sink_s3.failures import STORAGE_ERRORS, failure
        from tailrace_sink_s3.sending import run
        from tailrace_sink_s3.storage import Bucket

        call.context.check()
        settings = _settings(call.settings)
        manifest = call.parcel.manifest
        staging = StagingCall(call.target, call.options, call.parcel.fields, call.folder, settings)
        place = place_of(staging, settings, name=manifest.file.name)
        if manifest.file.size > settings.limit:
            raise PermanentError(
                f"The file has {readable_size(manifest.file.size)}, and {place} may have "
                f"{readable_size(settings.limit)}."
            )
        bucket = Bucket.opened(place.bucket, settings, call.secret)
        place = self._delivered(bucket, place, call, settings)
        described = encode_manifest(manifest, name=place.name)
        metadata = {"Content-Type": "application/json", _EXPORT: manifest.export_id}
        try:
            run(lambda: bucket.put(place.manifest, described, metadata, mode="overwrite"), call.context)
        except STORAGE_ERRORS as error:
            raise failure(error, f"Sending the manifest to {place.manifest}") from None
        return Receipt(NAME, delivered=True, place=str(place))

    @staticmethod
    def _delivered(bucket: "Bucket", wanted: Place, call: DeliverCall, settings: S3Settings) -> Place:
        """Where the file is now: at the first of the names that it may have which is free, or its own already."""
        *others, last = wanted.candidates() if not call.options.overwrite else [wanted]
        for place in others:
            try:
                _Delivery(bucket, place, call, settings).bring()
            except AlreadyExistsError:
                continue
            return place
        _Delivery(bucket, last, call, settings).bring()
        return last


class _Delivery:
    """A file on its way to its key."""

    def __init__(self, bucket: "Bucket", place: Place, call: DeliverCall, settings: S3Settings) -> None:
        self._bucket, self._place, self._call, self._settings = bucket, place, call, settings
        self._file = call.parcel.manifest.file

    @property
    def _metadata(self) -> Mapping[str, str]:
        packed = self._file.compression is not None
        return {
            # Not as a Content-Encoding: what is fetched is to be the file that the manifest describes.
            "Content-Type": "application/gzip" if packed else self._file.media_type,
            _SHA256: self._file.sha256,
            _EXPORT: self._call.parcel.manifest.export_id,
        }

    def bring(self) -> None:
        """See that it is there; raises as :meth:`is_there` and :meth:`send`."""
        if not self.is_there():
            self.send()

    def is_there(self) -> bool:
        """Whether an earlier try has brought this very file.

        Raises:
            AlreadyExistsError: The key is taken by something else, which is to stay.
            PermanentError: It is taken by another file of this export.
        """
        from tailrace_sink_s3.sending import run

        found: list[Found | None] = []
        run(lambda: found.append(self._bucket.find(self._place)), self._call.context)
        (known,) = found
        if known is None:
            return False
        if (known.size, known.metadata.get(_SHA256)) == (self._file.size, self._file.sha256):
            return True
        is_sibling = known.metadata.get(_EXPORT) == self._call.parcel.manifest.export_id
        if is_sibling and not self._place.suggested:
            raise PermanentError(
                f"{self._place} is another file of this export already.",
                hint="Let their keys differ: put {table} into the target.",
            )
        if is_sibling or not self._call.options.overwrite:
            raise AlreadyExistsError(
                f"{self._place} is there already, and something else.",
                hint="Put {timestamp} or {id} into the target, or replace it: overwrite=true",
            )
        return False

    def send(self) -> None:
        """Send the file, and see that it is there.

        Raises:
            AlreadyExistsError: Somebody else has taken the key meanwhile.
            TransientError: Trying again may help.
            PermanentError: It will not.
        """
        from tailrace_sink_s3.failures import STORAGE_ERRORS, failure, is_taken
        from tailrace_sink_s3.sending import send_at_once, send_parts

        call, overwrite = self._call, self._call.options.overwrite
        part_size = self._settings.part_size_for(self._file.size)
        try:
            if self._file.size <= part_size:
                send_at_once(self._bucket, self._place, call.parcel, self._metadata, call.context, overwrite=overwrite)
            else:
                send_parts(
                    self._bucket,
                    self._place,
                    call.parcel,
                    self._metadata,
                    call.context,
                    part_size=part_size,
                    before_end=self.is_there,
                )
        except STORAGE_ERRORS as error:
            # Of a request that is repeated because its answer was lost, the second try finds the first.
            if not is_taken(error):
                raise failure(error, f"Sending the file to {self._place}") from None
        if not self.is_there():
            raise TransientError(f"{self._place} is not there, although the storage said that it has it.")


def _settings(given: Any) -> S3Settings:
    return S3Settings() if given is None else given
