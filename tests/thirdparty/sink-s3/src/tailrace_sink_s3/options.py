"""The options of the sink ``s3``."""

import attrs

from tailrace import option


@attrs.frozen
class S3Options:
    """Options of the sink ``s3``."""

    overwrite: bool = option(default=False, help="Replace an object of the same key.")
