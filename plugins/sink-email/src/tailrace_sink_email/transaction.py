"""One mail to several recipients in one transaction, and what became of it for each."""

from collections.abc import Callable, Sequence

import attrs

from tailrace import Context, InterruptedExportError
from tailrace_sink_email.answers import CLOSING, Answer, failure
from tailrace_sink_email.mail import Mail
from tailrace_sink_email.session import ConnectionLostError, Session

_SEND_IT = 354


@attrs.frozen
class Outcome:
    """What became of a mail for one recipient.

    Args:
        error: Why it did not arrive; empty where the server took it.
        transient: Whether trying again may help.
    """

    error: str = ""
    transient: bool = False


def transact(session: Session, mail: Mail, recipients: Sequence[str], sender: str, context: Context) -> list[Outcome]:
    """Send a mail once.

    Args:
        session: A server that is logged in to.
        mail: The mail.
        recipients: To whom it goes.
        sender: Whom the server tells when it cannot be delivered later on.
        context: Asked all the time whether to go on; until the last byte of the mail, nothing is delivered.

    Returns:
        One outcome for each recipient, in their order.

    Raises:
        TransientError: It is nobody's, and trying again may help.
        PermanentError: It is nobody's, and that will not help.
        InterruptedExportError: Somebody cancelled, or the time is up; whether it arrives is said there.
    """
    _announce(session, mail, sender)
    outcomes: dict[str, Outcome] = {}
    try:
        accepted = _address(session, mail, recipients, outcomes)
        if accepted:
            context.check()
            outcome = _hand_over(session, mail, context)
            outcomes |= dict.fromkeys(accepted, outcome)
    except ConnectionLostError as error:
        # Who was refused stays refused; for everybody else it is as if nothing had been asked.
        outcomes = {
            recipient: outcomes.get(recipient, Outcome(error.message, transient=True)) for recipient in recipients
        }
    return [outcomes[recipient] for recipient in recipients]


def _announce(session: Session, mail: Mail, sender: str) -> None:
    options = [f"SIZE={mail.size}"] if session.offers("size") else []
    if mail.international:
        options += ["SMTPUTF8", "BODY=8BITMIME"]
        session.client.command_encoding = "utf-8"
    answer = session.ask("MAIL", " ".join([f"FROM:<{sender}>", *options]))
    if not answer.accepted:
        message = f"{session.server.host} takes no mail from {sender}: {answer.words}."
        raise failure(message, transient=answer.transient)


def _address(session: Session, mail: Mail, recipients: Sequence[str], outcomes: dict[str, Outcome]) -> list[str]:
    """Name the recipients; returns those whom the server takes."""
    accepted = []
    for recipient in recipients:
        if not recipient.isascii() and not mail.international:
            error = f"{session.server.host} cannot write to {recipient}: it takes ASCII addresses only."
            outcomes[recipient] = Outcome(error, transient=False)
            continue
        answer = session.ask("RCPT", f"TO:<{recipient}>")
        if answer.code == CLOSING:
            refused = _refused(session, answer, "closed the connection")
            outcomes |= {other: refused for other in recipients if other not in outcomes}
            return []
        if answer.accepted:
            accepted.append(recipient)
        else:
            outcomes[recipient] = _refused(session, answer, f"refused {recipient}")
    return accepted


def _hand_over(session: Session, mail: Mail, context: Context) -> Outcome:
    host = session.server.host
    answer = session.ask("DATA")
    if answer.code != _SEND_IT:
        return _refused(session, answer, "refused the mail")
    _send(mail, session.send, context)
    try:
        # The dot is what makes it a mail: from here on the server may have it.
        session.send(b".\r\n")
        answer = session.answer(patient=True)
    except InterruptedExportError as error:
        raise type(error)(
            f"{error.message} The mail was sent by then, but {host} did not confirm it: it may arrive all the same."
        ) from None
    except ConnectionLostError as error:
        return Outcome(
            f"{error.message} The mail was sent by then, but {host} did not confirm it: it may arrive twice, with the "
            "same Message-ID.",
            transient=True,
        )
    return Outcome() if answer.accepted else _refused(session, answer, "refused the mail")


def _send(mail: Mail, send: Callable[[bytes], None], context: Context) -> None:
    for piece in mail.pieces():
        context.check()
        send(piece)


def _refused(session: Session, answer: Answer, what: str) -> Outcome:
    return Outcome(f"{session.server.host} {what}: {answer.words}.", transient=answer.transient)
