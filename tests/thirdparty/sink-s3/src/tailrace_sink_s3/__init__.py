"""S3 for Tailrace: finished files into buckets, whole or not at all, with their manifests beside them."""

from tailrace import Sink, hookimpl


@hookimpl
def tailrace_sink() -> Sink:
    """Offer the sink ``s3``."""
    from tailrace_sink_s3.sink import S3Sink

    return S3Sink()
