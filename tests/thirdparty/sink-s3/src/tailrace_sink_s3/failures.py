"""What obstore's errors mean: whether trying again may help, and in words that quote no part of a request."""

import re

from obstore.exceptions import AlreadyExistsError, BaseError

from tailrace import PermanentError, TransientError

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,64})</Code>")
_FOR_NOW = {
    "ConditionalRequestConflict", "ExpiredToken", "InternalError", "OperationAborted", "RequestTimeTooSkewed",
    "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests",
}  # fmt: skip
_REQUEST_TIMEOUT, _CONFLICT, _TOO_MANY, _SERVER = 408, 409, 429, 500

STORAGE_ERRORS = (BaseError, FileNotFoundError, ValueError)
"""What obstore raises beside what the iterator that it reads does."""


def is_taken(error: Exception) -> bool:
    """Whether it says that there is an object of that key."""
    return isinstance(error, AlreadyExistsError)


def failure(error: Exception, what: str) -> PermanentError | TransientError:
    """The error that tells of another one.

    Args:
        error: One of :data:`STORAGE_ERRORS`.
        what: What was done, as the beginning of a sentence: ``"Sending the file to s3://exports/a.csv"``.
    """
    said = str(error)
    status, code = _STATUS.search(said), _CODE.search(said)
    number = int(status[1]) if status else 0
    answer = " ".join(filter(None, [status[1] if status else "", code[1] if code else ""]))
    if (code and code[1] in _FOR_NOW) or number in {_REQUEST_TIMEOUT, _CONFLICT, _TOO_MANY} or number >= _SERVER:
        return TransientError(f"{what} failed for now: the storage answered {answer}.")
    if number or isinstance(error, FileNotFoundError):
        return PermanentError(
            f"{what} failed: the storage answered {answer or '404'}.",
            hint="Check the bucket, and what the credentials in sinks.s3 allow.",
        )
    if isinstance(error, ValueError):
        return PermanentError(f"{what} failed: the request cannot be made.", hint="Check the settings sinks.s3.")
    return TransientError(f"{what} failed for now: the storage cannot be reached, or said nothing that makes sense.")
