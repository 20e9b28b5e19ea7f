"""The logins of a pool: kept apart from everything else, and shown only as the credential mode allows."""

from collections.abc import Callable, Iterator

import attrs
import polars as pl

from tailrace import ConfigurationError, CredentialMode
from tailrace_source_pool import fernet

_ENCRYPTED = r"^(?:encrypted:|gAAAAA[A-Za-z0-9_-]{32,})"
_HALVES = ("username", "password")


def decrypted(stored: pl.DataFrame, mode: CredentialMode) -> pl.DataFrame:
    """The logins of a database without ProxyWhirl's encryption, where its key is at hand.

    Args:
        stored: Columns ``username`` and ``password``, among others.
        mode: In mode ``full`` nothing may stay encrypted: nobody else could use it.

    Raises:
        ConfigurationError: Mode ``full`` without ProxyWhirl's key.
        RefusedError: ProxyWhirl's key is another one.
    """
    username, password = (fernet.is_encrypted(stored[name]).fill_null(value=False) for name in _HALVES)
    hidden = int((username | password).sum())
    if not hidden:
        return stored
    if fernet.available() and (mode is CredentialMode.FULL or fernet.opens(*(stored[name] for name in _HALVES))):
        return stored.with_columns(fernet.decrypt_values(stored[name]).alias(name) for name in _HALVES)
    if mode is CredentialMode.FULL:
        message = f"ProxyWhirl has encrypted the logins of {hidden} proxies, and its key is not at hand."
        raise ConfigurationError(message, hint=fernet.HINT)
    return stored


@attrs.frozen(repr=False)
class Logins:
    """Who logs in where, one row per proxy, in the order of the pool.

    Args:
        frame: ``username``, ``password`` (in clear or encrypted), ``own_username``, ``own_password`` (as the pool's own
            columns have them, empty ones included), ``url_username``, ``url_password``, ``url_login`` (what the URL
            says), ``stored_url``, ``protocol``, ``host``, ``port``; all of them nullable.
    """

    _frame: pl.DataFrame

    @classmethod
    def of(cls, stored: pl.DataFrame, address: pl.DataFrame) -> "Logins":
        """Gather logins.

        Args:
            stored: Columns ``url``, ``username``, ``password`` as the pool stores them.
            address: What :func:`~tailrace_source_pool.address.take_apart` made of ``url``.
        """
        frame = stored.select(
            _filled("username"),
            _filled("password"),
            own_username=pl.col("username").cast(pl.String),
            own_password=pl.col("password").cast(pl.String),
            stored_url="url",
        ).with_columns(
            address.select(
                _filled("login_user").alias("url_username"),
                _filled("login_password").alias("url_password"),
                _filled("login").alias("url_login"),
                protocol="scheme",
                host="host",
                port="port",
            )
        )
        # A proxy's own columns win over its URL, as a pair: two halves of different logins are no login.
        own = pl.col("username").is_not_null() | pl.col("password").is_not_null()
        return cls(
            frame.with_columns(
                username=pl.when(own).then("username").otherwise("url_username"),
                password=pl.when(own).then("password").otherwise("url_password"),
            )
        )

    def of_rows(self, rows: pl.Series) -> "Logins":
        """The logins of some rows, in their order."""
        return Logins(self._frame[rows])

    def in_clear(self) -> Iterator[tuple[str | None, str | None]]:
        """User names and passwords as pairs, decoded and as they are written; either may be None."""
        frame = self._frame
        yield from frame.select(_clear("username"), _clear("password")).unique().iter_rows()
        yield from frame.select("url_username", "url_password").unique().iter_rows()
        for login in frame["url_login"].drop_nulls().unique():
            user, _colon, password = login.partition(":")
            yield user, password

    @property
    def present(self) -> pl.Series:
        """Whether a proxy has a login at all."""
        return self._frame.select(
            has_credentials=pl.col("username").is_not_null() | pl.col("password").is_not_null()
        ).to_series()

    @property
    def encrypted(self) -> int:
        """Number of proxies whose login is encrypted."""
        return int(
            self._frame.select(
                (_is_encrypted("username") | _is_encrypted("password")).fill_null(value=False).sum()
            ).item()
        )

    def identities(self) -> pl.DataFrame:
        """What makes a proxy itself, logins included: for counting, not for showing."""
        return self._frame.select("protocol", "host", "port", "username", "password")

    def shown(self, mode: CredentialMode, reference: Callable[..., str]) -> pl.DataFrame:
        """Columns ``username`` and ``password`` as the mode has them: all null, or a keyed id for each.

        Args:
            mode: ``sanitized`` or ``reference``.
            reference: Makes an id from parts; equal parts give equal ids.
        """
        if mode is CredentialMode.SANITIZED:
            nothing = pl.repeat(None, self._frame.height, dtype=pl.String, eager=True)
            return pl.DataFrame({"username": nothing, "password": nothing})
        return pl.DataFrame({field: self._references(field, reference) for field in ("username", "password")})

    def whole(self, public_url: pl.Series) -> pl.DataFrame:
        """Everything that is needed to store the logins again as they are.

        Args:
            public_url: The URLs as they are shown.

        Returns:
            ``username``, ``password``, ``credentials_in`` and ``stored_url``; the latter only where it is not the URL
            that is shown.
        """
        own = pl.col("own_username").is_not_null() | pl.col("own_password").is_not_null()
        in_url = pl.col("url_login").is_not_null()
        return self._frame.with_columns(public_url.alias("public_url")).select(
            username=pl.when(own).then("own_username").otherwise("url_username"),
            password=pl.when(own).then("own_password").otherwise("url_password"),
            credentials_in=pl.when(own & in_url)
            .then(pl.lit("both"))
            .when(own)
            .then(pl.lit("columns"))
            .when(in_url)
            .then(pl.lit("url")),
            stored_url=pl.when(pl.col("stored_url") != pl.col("public_url")).then("stored_url"),
        )

    def _references(self, field: str, reference: Callable[..., str]) -> pl.Series:
        # One keyed hash per login: the only place where a row costs Python objects.
        rows = self._frame.select(
            "protocol",
            "host",
            pl.col("port").cast(pl.String),
            "stored_url",
            _clear("username").alias("user"),
            _clear("password").alias("word"),
            pl.col(field).alias("shown"),
            _is_encrypted(field).alias("encrypted"),
        )
        ids: list[str | None] = []
        for protocol, host, port, stored_url, user, password, shown, encrypted in rows.iter_rows():
            if shown is None:
                ids.append(None)
                continue
            # Encrypting the same login again gives other bytes, so a hidden login is known by its proxy alone.
            login = ("stored", stored_url) if encrypted else ("clear", user or "", password or "")
            ids.append(reference(field, protocol or "", host or "", port or "", *login))
        return pl.Series(ids, dtype=pl.String)


def _filled(name: str) -> pl.Expr:
    """The column, empty text as null: an empty user name is no secret."""
    text = pl.col(name).cast(pl.String)
    return pl.when(text != "").then(text).alias(name)


def _is_encrypted(name: str) -> pl.Expr:
    return pl.col(name).str.contains(_ENCRYPTED)


def _clear(name: str) -> pl.Expr:
    return pl.when(~_is_encrypted(name)).then(name).alias(name)
