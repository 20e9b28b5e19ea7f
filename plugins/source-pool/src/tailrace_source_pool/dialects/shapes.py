"""Lines taken apart, in each dialect of lines.

A shape is a function from lines to *parts*, one row for each: ``scheme`` (null where the line names none), ``host`` (as
it stands there), ``port`` (likewise), ``username``, ``password``, and ``reason``: why the line has another shape, else
null. What is in the parts is judged by :mod:`tailrace_source_pool.dialects.addresses`. No reason quotes the line.
"""

from collections.abc import Callable

import polars as pl

from tailrace_source_pool.dialects import percent
from tailrace_source_pool.dialects.addresses import judged

Shape = Callable[[pl.Series], pl.DataFrame]

_COMMENT = r"[ \t]+#.*$"
"""A comment behind something."""
_BLANKS = "it holds blanks; in a user name or password they are written as %20"

_TEXT = pl.String()
_SCHEMED = r"^[A-Za-z][A-Za-z0-9+.-]*://"
_HOST_AND_PORT = r"^(?P<host>\[[^\]]*\]|[^:@\[\]]*):(?P<port>[^:@]*)$"
_LOGIN_AND_ADDRESS = r"^(?:(?P<login>.*)@)?(?P<host>\[[^\]]*\]|[^:@\[\]]*):(?P<port>[^:@]*)$"
_URL = (
    r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:(?P<login>.*)@)?(?P<host>\[[^\]]*\]|[^:/?#@\[\]]*)"
    r"(?::(?P<port>[^:/?#@]*))?(?P<rest>[/?#].*)?$"
)
_BRACKETS_FIRST = r"^(?P<host>\[[^\]]*\]):(?P<port>[^:]*)(?::(?P<username>[^:]*):(?P<password>.*))?$"
_USER_FIRST = r"^(?:(?P<username>[^:]*):(?P<password>.*):)?(?P<host>\[[^\]]*\]|[^:\[\]]*):(?P<port>[^:]*)$"
_FIELD = r"(?:\[[^\]]*\]|(?:[^:\[][^:]*)?)"
_THREE_PARTS = rf"^{_FIELD}:{_FIELD}:{_FIELD}$"
_PORT_SECOND = r"^(?:\[[^\]]*\]|[^:]*):[0-9]{1,5}:"
_PORT_LAST = ":[0-9]{1,5}$"
_GROUPS = "[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4})*"
_IPV6 = rf"(?:(?:[0-9A-Fa-f]{{1,4}}:){{7}}[0-9A-Fa-f]{{1,4}}|(?:{_GROUPS})?::(?:{_GROUPS})?)"
_LONGEST_GROUP = 4
_IPV6_FIRST = rf"^{_IPV6}(?::|$)"
_IPV6_LAST = rf"(?:^|:){_IPV6}:[0-9]{{1,5}}$"

_NEED_BRACKETS = "it may begin or end with an IPv6 address, which needs brackets: [2001:db8::1]:8080"
_HALF_A_LOGIN = (
    "it has three parts, and could be host:user:password without a port or host:port:user without a password; "
    "write all four parts"
)
_MANY_PARTS = "it has more than four parts; as dialect colon, or colon-userfirst, the password may hold colons"
_HASH = "what follows its # could be a comment or belong to the password; write it as a URL, with %23"
_NEITHER = (
    "it is neither host:port:user:password nor user:password:host:port with a host that is an address and a port from "
    "1 to 65535"
)
_RAW = ("colon", "colon-userfirst")
_WORDINGS = {
    "userinfo": "user:password@host:port",
    "colon": "host:port:user:password",
    "colon-userfirst": "user:password:host:port",
}
_PARTS = ("scheme", "host", "port", "username", "password", "reason")


def hostport(lines: pl.Series) -> pl.DataFrame:
    """``host:port``."""
    lines = _without_comments(lines)
    parts = _extracted(lines, _HOST_AND_PORT)
    return _parts(_refused(parts, lines, ((parts["host"].is_null(), "it is not host:port"),)))


def userinfo(lines: pl.Series) -> pl.DataFrame:
    """``user:password@host:port``, percent-encoded; ``host:port`` without a login."""
    lines = _without_comments(lines)
    parts = _extracted(lines, _LOGIN_AND_ADDRESS)
    wrong = ((parts["host"].is_null(), "it is not user:password@host:port"),)
    return _parts(_with_login(_refused(parts, lines, wrong)))


def url(lines: pl.Series) -> pl.DataFrame:
    """``scheme://user:password@host:port``, percent-encoded; a slash may follow."""
    lines = _without_comments(lines)
    parts = _extracted(lines, _URL)
    wrong = (
        (parts["scheme"].is_null(), "it is not scheme://[user:password@]host:port"),
        (
            parts["login"].str.contains(r"[/?#]"),
            "it has an @ behind a slash, and what is a login there could only be guessed; write / as %2F",
        ),
        (~parts["rest"].is_in(("/",)), "something follows its port"),
    )
    return _parts(_with_login(_refused(parts.with_columns(pl.col("scheme").str.to_lowercase()), lines, wrong)))


def colon(lines: pl.Series) -> pl.DataFrame:
    """``host:port:user:password`` as it stands, colons in the password too; ``host:port`` without a login."""
    parts = by_case(lines, lines.str.starts_with("["), _brackets_first, _plain_colon)
    return _parts(_refused_raw(parts, lines))


def colon_userfirst(lines: pl.Series) -> pl.DataFrame:
    """``user:password:host:port`` as it stands, colons in the password too; ``host:port`` without a login."""
    parts = _extracted(lines, _USER_FIRST)
    wrong = (
        (lines.str.contains(_IPV6_LAST), _NEED_BRACKETS),
        (lines.str.contains(_THREE_PARTS), _HALF_A_LOGIN),
        (parts["host"].is_null(), "it is not user:password:host:port"),
    )
    return _parts(_refused_raw(_refused(parts, lines, wrong, blanks=True), lines))


def proxychains(lines: pl.Series) -> pl.DataFrame:
    """``type host port [user [password]]``, parted by blanks, as proxychains-ng reads its section ``[ProxyList]``."""
    single = lines.str.replace_all(r"[ \t]+", " ")
    parts = single.str.splitn(" ", 6).struct.rename_fields(["scheme", "host", "port", "username", "password", "more"])
    split = parts.struct.unnest()
    open_ipv6 = split["host"].str.contains(":", literal=True) & ~split["host"].str.starts_with("[")
    split = split.with_columns(
        pl.when(open_ipv6).then(pl.format("[{}]", "host")).otherwise("host").alias("host"),
        scheme=pl.col("scheme").str.to_lowercase(),
    )
    wrong = (
        (split["port"].is_null(), "it is not type host port [user [password]]"),
        (split["more"].is_not_null(), "it has more than five parts"),
    )
    return _parts(_refused_raw(_refused(split, lines, wrong, blanks=True), lines))


def mixed(lines: pl.Series) -> pl.DataFrame:
    """Each line in the only shape that makes sense of it; where there are several, or none, it is refused."""
    return by_case(lines, lines.str.contains(_SCHEMED), url, _without_scheme)


def kinds(lines: pl.Series) -> pl.Series:
    """The dialect of each line; null where there is none, or several would do."""
    schemed = lines.str.contains(_SCHEMED)
    bare = _without_comments(lines)
    frame = pl.DataFrame({"line": bare, "schemed": schemed, "plain": bare.str.contains(_HOST_AND_PORT)})
    kind = frame.select(
        pl.when("schemed").then(pl.lit("url")).when("plain").then(pl.lit("hostport")).otherwise(None).alias("kind")
    ).to_series()
    others = kind.is_null().arg_true()
    return kind.scatter(others, _readings(bare.gather(others))["kind"]) if others.len() else kind


def by_case(lines: pl.Series, mask: pl.Series, there: Shape, elsewhere: Shape) -> pl.DataFrame:
    """Take some lines apart in one way and the others in another."""
    if not mask.any():
        return elsewhere(lines)
    if mask.all():
        return there(lines)
    parts = pl.concat([there(lines.filter(mask)), elsewhere(lines.filter(~mask))])
    return parts[pl.concat([mask.arg_true(), (~mask).arg_true()]).arg_sort()]


def _without_scheme(lines: pl.Series) -> pl.DataFrame:
    return by_case(lines, _without_comments(lines).str.contains(_HOST_AND_PORT), hostport, _some_login)


def _some_login(lines: pl.Series) -> pl.DataFrame:
    bare = _without_comments(lines)
    found = _readings(bare)
    as_it_stands = found["kind"].is_in(_RAW)
    wrong = (
        (as_it_stands & (bare != lines), _HASH),
        (as_it_stands & found["password"].str.contains(":", literal=True), _MANY_PARTS),
    )
    return _parts(_refused(found, bare, wrong))


def _readings(lines: pl.Series) -> pl.DataFrame:
    """The parts of each line in the only reading that makes sense, with ``kind``: that dialect; null for others."""
    port_last = lines.str.contains(_PORT_LAST)
    found = [
        _sensible(lines, port_last & lines.str.contains("@", literal=True), "userinfo", userinfo),
        _sensible(lines, lines.str.contains(_PORT_SECOND), "colon", colon),
        _sensible(lines, port_last, "colon-userfirst", colon_userfirst),
    ]
    count = pl.repeat(0, lines.len(), dtype=pl.Int8, eager=True)
    for parts in found:
        count = count.scatter(parts["row"], count.gather(parts["row"]) + 1)
    if (count == 1).all():
        return pl.concat(found).sort("row")
    alone = [parts.filter(count.gather(parts["row"]) == 1) for parts in found]
    several, none = (count > 1).arg_true(), (count == 0).arg_true()
    refused = [
        pl.DataFrame({"row": several, "reason": _several_readings(several, found)}),
        pl.DataFrame({"row": none, "reason": _why_none(lines.gather(none))}),
    ]
    return pl.concat([*alone, *refused], how="diagonal").sort("row")


def _sensible(lines: pl.Series, mask: pl.Series, kind: str, shape: Shape) -> pl.DataFrame:
    """The parts of those lines, of some that the mask says, that have this shape and are addresses; with ``row``."""
    rows = mask.arg_true().alias("row")
    parts = shape(lines.gather(rows))
    sensible = judged(parts)["reason"].is_null()
    return parts.with_columns(rows, pl.lit(kind).alias("kind")).filter(sensible)


def _several_readings(rows: pl.Series, found: list[pl.DataFrame]) -> pl.Series:
    """What lines could be that have several shapes that make sense of them."""
    readings = pl.DataFrame(
        [rows.is_in(parts["row"].implode()).alias(kind) for kind, parts in zip(_WORDINGS, found, strict=True)]
    )
    wordings = [pl.when(kind).then(pl.lit(wording)) for kind, wording in _WORDINGS.items()]
    either = pl.concat_str(wordings, separator=" or ", ignore_nulls=True)
    return readings.select(pl.format("it could be {}; say by its dialect which it is", either)).to_series()


def _why_none(lines: pl.Series) -> pl.Series:
    """Why lines with a login have no shape that makes sense of them."""
    reasons = {
        "half": lines.str.contains(_THREE_PARTS) & ~lines.str.contains("@", literal=True),
        "ipv6": lines.str.contains(_IPV6_FIRST) | lines.str.contains(_IPV6_LAST),
        "at": lines.str.contains("@", literal=True),
        "nothing": ~lines.str.contains(":", literal=True),
        "userinfo": judged(userinfo(lines))["reason"],
    }
    return (
        pl.DataFrame(reasons)
        .select(
            pl.when("half")
            .then(pl.lit(_HALF_A_LOGIN))
            .when("ipv6")
            .then(pl.lit(_NEED_BRACKETS))
            .when("at")
            .then("userinfo")
            .when("nothing")
            .then(pl.lit("it is not host:port"))
            .otherwise(pl.lit(_NEITHER))
            .alias("reason")
        )
        .to_series()
    )


def _plain_colon(lines: pl.Series) -> pl.DataFrame:
    split = lines.str.splitn(":", 4).struct.rename_fields(["host", "port", "username", "password"]).struct.unnest()
    wrong = (
        (_ipv6_first(lines, split["host"]), _NEED_BRACKETS),
        (split["port"].is_null(), "it is not host:port:user:password"),
        (split["username"].is_not_null() & split["password"].is_null(), _HALF_A_LOGIN),
    )
    return _parts(_refused(split, lines, wrong, blanks=True))


def _ipv6_first(lines: pl.Series, first: pl.Series) -> pl.Series:
    """Whether a line begins with an IPv6 address, given what is before its first colon."""
    short = first.str.len_bytes() <= _LONGEST_GROUP
    return short & lines.str.contains(_IPV6_FIRST) if short.any() else short


def _brackets_first(lines: pl.Series) -> pl.DataFrame:
    parts = _extracted(lines, _BRACKETS_FIRST)
    wrong = (
        (lines.str.contains(_THREE_PARTS), _HALF_A_LOGIN),
        (parts["host"].is_null(), "it is not host:port:user:password"),
    )
    return _parts(_refused(parts, lines, wrong, blanks=True))


def _extracted(lines: pl.Series, pattern: str) -> pl.DataFrame:
    return lines.str.extract_groups(pattern).struct.unnest()


def _without_comments(lines: pl.Series) -> pl.Series:
    return lines.str.replace(_COMMENT, "") if _hashes(lines).any() else lines


def _hashes(lines: pl.Series) -> pl.Series:
    """Whether something that looks like a comment is in a line."""
    hash_sign = lines.str.contains("#", literal=True)
    return lines.str.contains(r"[ \t]#") if hash_sign.any() else hash_sign


def _refused_raw(parts: pl.DataFrame, lines: pl.Series) -> pl.DataFrame:
    """Refuse what could be a comment where nothing is encoded."""
    return _refused(parts, lines, ((_hashes(lines), _HASH),), blanks=True)


def _refused(
    parts: pl.DataFrame, lines: pl.Series, wrong: tuple[tuple[pl.Series, str], ...], *, blanks: bool = False
) -> pl.DataFrame:
    """Say why lines have another shape.

    Args:
        parts: The parts; the reasons that they have already come first.
        lines: The lines.
        wrong: Masks and reasons, the first that holds counts.
        blanks: Whether blanks may be in a line.
    """
    masks = wrong if blanks else ((lines.str.contains(r"\s"), _BLANKS), *wrong)
    reason = parts["reason"] if "reason" in parts.columns else None
    for mask, text in masks:
        if mask.any():
            reason = _nothing(parts.height) if reason is None else reason
            reason = reason.set(mask.fill_null(value=False) & reason.is_null(), text)
    return parts if reason is None else parts.with_columns(reason.alias("reason"))


def _with_login(parts: pl.DataFrame) -> pl.DataFrame:
    """Take percent-encoded logins apart."""
    login = parts["login"].str.splitn(":", 2).struct.rename_fields(["username", "password"]).struct.unnest()
    decoded = login.select(percent.decoded(login[name]).alias(name) for name in login.columns)
    broken = (login["username"].is_not_null() & decoded["username"].is_null()) | (
        login["password"].is_not_null() & decoded["password"].is_null()
    )
    return _refused(
        parts.with_columns(decoded),
        parts["host"],
        ((broken, "its user name or password is not UTF-8 when its percent signs are decoded"),),
        blanks=True,
    )


def _parts(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with exactly the columns of parts."""
    return frame.select(frame[name] if name in frame.columns else _nothing(frame.height).alias(name) for name in _PARTS)


def _nothing(height: int) -> pl.Series:
    return pl.Series("reason", [None], dtype=_TEXT).new_from_index(0, height)


LINE_SHAPES: dict[str, Shape] = {
    "hostport": hostport,
    "colon": colon,
    "userinfo": userinfo,
    "colon-userfirst": colon_userfirst,
    "url": url,
    "proxychains": proxychains,
}
