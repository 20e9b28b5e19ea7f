"""Why a delivery came to nothing, where no answer says so."""


class CannotDeliverError(Exception):
    """Something stood in the way of a delivery; it becomes a receipt, and goes no further.

    Args:
        message: What happened, in one sentence, without secrets.
        hint: What to do about it; may be empty.
        transient: Whether trying again may help.
    """

    def __init__(self, message: str, *, hint: str = "", transient: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.transient = transient

    @property
    def text(self) -> str:
        """Message and hint, as a receipt has them."""
        return f"{self.message} {self.hint}".rstrip()
