"""Proxies as others describe them: an address in parts, under the names that Geonode, proxybroker2 and CSV lists use.

What is read: address, login, and where the proxy stands. An entry with several protocols becomes one proxy for each.
Everything else is named in a note.

- Geonode: ``{"ip": …, "port": "8080", "protocols": ["http", "socks4"], "country": "DE", "city": …, "asn": "AS1" …}``
- proxybroker2: ``{"host": …, "port": 80, "types": [{"type": "HTTP", "level": …}], "geo": {"country": {"code": …}}}``
- lists: ``ip`` or ``host``, ``port``, ``username``/``user``/``login``, ``password``/``pass``, ``protocol``/``scheme``/
  ``type``, ``country`` …, or the whole address as ``proxy`` or ``url``
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from tailrace_source_pool.documents.addresses import url_of
from tailrace_source_pool.documents.json_text import step
from tailrace_source_pool.documents.rules import ENTRY, checked
from tailrace_source_pool.members import LABELS, TEXT, WHOLE, Complaints, objects
from tailrace_source_pool.targets.login_places import taken_apart

NAMES: Mapping[str, str] = {
    **dict.fromkeys(("ip", "host", "hostname", "server", "ip_address", "ipaddress"), "host"),
    "port": "port",
    **dict.fromkeys(("protocol", "protocols", "scheme", "type", "types"), "protocol"),
    **dict.fromkeys(("username", "user", "login"), "username"),
    **dict.fromkeys(("password", "pass", "passwd"), "password"),
    **dict.fromkeys(("proxy", "url", "proxy_url"), "url"),
    **dict.fromkeys(("country", "country_code", "countrycode"), "country_code"),
    **dict.fromkeys(("country_name", "countryname"), "country_name"),
    "region": "region",
    "city": "city",
    **dict.fromkeys(("isp", "isp_name"), "isp_name"),
    "asn": "asn",
}
"""What is read, by the names it goes by in small letters."""

_FIELDS = tuple(dict.fromkeys(NAMES.values()))
_LOGIN = ("username", "password")
_ADDRESS = frozenset(name for name, field in NAMES.items() if field == "host")
_SETTINGS = ("CONNECT:80", "CONNECT:25")
"""What proxybroker2 has among the protocols, and is none."""
_MOST_NAMED = 12
_PORT = r"^\s*0*([0-9]{1,5})\s*$"


def _said(field: str) -> pl.Expr:
    """What a field says: blanks say nothing, but a password may be of nothing else."""
    return pl.col(field) if field in _LOGIN else pl.col(field).str.strip_chars()


def normal(name: str) -> str:
    """The name of a member or column as :data:`NAMES` has it."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def is_foreign(entry: Mapping[str, Any]) -> bool:
    """Whether an object describes a proxy by parts of its address, rather than by a URL as ProxyWhirl does."""
    names = {normal(name) for name in entry}
    return "proxy" in names or ("url" not in names and not _ADDRESS.isdisjoint(names))


class Reading:
    """Reads entries of one file.

    Args:
        scheme: Protocol of those that name none.
    """

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme
        self._left_aside: dict[str, None] = {}
        self._several = 0

    def read(self, entries: Sequence[Any], complaints: Complaints) -> pl.DataFrame:
        """Read objects of a list."""
        rows = objects(entries, complaints)
        texts: dict[str, list[Any]] = {field: [None] * len(rows) for field in _FIELDS}
        for index, row in enumerate(rows):
            for name, value in row.items():
                field = NAMES.get(normal(name))
                if field is None:
                    self._take_other(index, name, value, texts)
                elif value is not None:
                    told = _text(value, field)
                    if told is None:
                        complaints.tell(index, name, f"expected text, got {LABELS[type(value)]}")
                    texts[field][index] = told
        frame = pl.DataFrame(
            {
                field: pl.Series(values, dtype=pl.List(TEXT) if field == "protocol" else TEXT)
                for field, values in texts.items()
            }
        )
        return self.read_texts(frame, complaints)

    def read_texts(self, frame: pl.DataFrame, complaints: Complaints) -> pl.DataFrame:
        """Read texts.

        Args:
            frame: Some of the values of :data:`NAMES`, all texts; ``protocol`` a list of them.
            complaints: Where it is told what is wrong.
        """
        frame = frame.with_row_index(ENTRY)
        for field in _FIELDS:
            if field not in frame.columns:
                frame = frame.with_columns(
                    pl.lit(None, dtype=pl.List(TEXT) if field == "protocol" else TEXT).alias(field)
                )
        frame = frame.with_columns(
            pl.when(_said(field) != "").then(field).alias(field) for field in _FIELDS if field != "protocol"
        )
        entries = frame.height
        frame = frame.explode("protocol", empty_as_null=True, keep_nulls=True)
        frame = frame.filter(~pl.col("protocol").is_in(_SETTINGS).fill_null(value=False))
        self._several += frame.height - entries
        protocol = pl.col("protocol").str.strip_chars().str.to_lowercase()
        frame = frame.with_columns(protocol=pl.when(protocol != "").then(protocol).otherwise(pl.lit(self._scheme)))
        return self._finished(frame, complaints)

    def notes(self) -> Iterator[str]:
        """What was left aside, in sentences."""
        if self._several > 0:
            yield f"Entries with several protocols became one proxy for each: {self._several} more than entries."
        if self._left_aside:
            named = sorted(self._left_aside)
            more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
            yield f"Not imported, because no pool holds it: {', '.join(named[:_MOST_NAMED])}{more}."

    def leave_aside(self, name: str) -> None:
        """Remember the name of something that is not read."""
        if len(self._left_aside) < 1000:  # noqa: PLR2004 - enough to be told
            self._left_aside[step(name).removeprefix(".")] = None

    def _take_other(self, index: int, name: str, value: object, texts: dict[str, list[Any]]) -> None:
        """Take what proxybroker2 says about the place; leave anything else aside."""
        country = value.get("country") if name == "geo" and isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(country, dict):
            self.leave_aside(name)
            return
        places = {
            "country_code": country.get("code"),
            "country_name": country.get("name"),
            "region": _named(value.get("region")),
            "city": _named(value.get("city")),
        }
        for field, place in places.items():
            if isinstance(place, str) and place not in {"", "--", "Unknown"}:
                texts[field][index] = place

    def _finished(self, frame: pl.DataFrame, complaints: Complaints) -> pl.DataFrame:
        port = pl.col("port").str.extract(_PORT, 1).cast(WHOLE, strict=False)
        frame = frame.with_columns(pl.col("host").str.strip_chars(" []"), whole=port)
        has_url = frame["url"].is_not_null()
        # A URL says it all; without its scheme it takes the protocol that the entry names.
        schemed = frame.select(
            pl.when(pl.col("url").str.contains("://", literal=True))
            .then("url")
            .otherwise(pl.format("{}://{}", "protocol", "url"))
        ).to_series()
        built = url_of(frame.with_columns(port="whole"))
        parts = taken_apart(frame.select("username", "password", url=schemed.zip_with(has_url, built)))
        for name, wrong, reason in (
            ("host", frame["host"].is_null() & ~has_url, "it is missing"),
            ("port", frame["port"].is_null() & ~has_url, "it is missing"),
            ("port", frame["whole"].is_null() & frame["port"].is_not_null() & ~has_url, "expected a number"),
            ("url", parts["host"].is_null() & has_url, "it is not an address"),
            ("url", parts["port"].is_null() & parts["host"].is_not_null() & has_url, "its port is missing"),
        ):
            for entry in frame[ENTRY].filter(wrong):
                complaints.tell(entry, name, reason)
        # The parts as they were written are what is judged; those of a URL are its own.
        for name, own in (("host", frame["host"]), ("port", frame["whole"]), ("protocol", frame["protocol"])):
            parts = parts.with_columns(parts[name].zip_with(has_url, own).alias(name))
        if not has_url.any():
            parts = parts.drop("stored_url")
        result = parts.with_columns(frame[ENTRY], *_places(frame))
        checked(result, complaints)
        return result


def _places(frame: pl.DataFrame) -> Iterator[pl.Expr | pl.Series]:
    country, number = frame["country_code"], frame["asn"].str.extract(r"^(?i)(?:AS)?([0-9]{1,10})", 1)
    codes = country.str.contains(r"^[A-Za-z]{2}$")
    nothing = pl.Series([None], dtype=TEXT)
    yield country.zip_with(codes, nothing).str.to_uppercase().alias("country_code")
    yield frame["country_name"].zip_with(frame["country_name"].is_not_null() | codes, country).alias("country_name")
    yield from (frame[name] for name in ("region", "city", "isp_name"))
    yield number.cast(WHOLE, strict=False).alias("asn")


def _text(value: object, field: str) -> str | list[str] | None:
    """A value as the text it would be in a list; None where it is nothing of the kind."""
    if field == "protocol":
        several = value if isinstance(value, list) else [value]
        names = [one.get("type") if isinstance(one, dict) else one for one in several]
        texts = [name for name in names if isinstance(name, str)]
        return texts if len(texts) == len(names) else None
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    try:
        return str(value)
    except ValueError:
        # Python's own limit on the digits of a whole number.
        return "?"


def _named(value: object) -> object:
    return value.get("name") if isinstance(value, dict) else value
