"""Runs under ProxyWhirl's interpreter: prints all that ProxyWhirl loads from a pool.

``load_pool.py database|file PATH [KEY]``
"""

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any

from proxywhirl.storage import FileStorage, ProxyIdentityTable, ProxyStatusTable, SQLiteStorage
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession


def plain(value: Any) -> Any:
    """Times as moments: ProxyWhirl itself stores some with an offset of zero, and means UTC by those without."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    return sorted(value) if isinstance(value, set) else value


async def database(path: str) -> dict[str, Any]:
    """What ``load`` returns, and both tables whole, logins decrypted by ProxyWhirl."""
    storage = SQLiteStorage(path)
    loaded = {row["url"]: row for row in await storage.load()}
    async with AsyncSession(storage.engine) as session:
        identities = [row.model_dump() for row in (await session.exec(select(ProxyIdentityTable))).all()]
        statuses = [row.model_dump() for row in (await session.exec(select(ProxyStatusTable))).all()]
    await storage.close()
    for row in identities:
        for name in ("username", "password"):
            row[f"{name}_encrypted"] = row[name] is not None and row[name].startswith("encrypted:")
            row[name] = storage._decrypt_credential(row[name])  # noqa: SLF001 - it has no public way to one
    return {
        "load": loaded,
        "identities": {row["url"]: row for row in identities},
        "statuses": {row["proxy_url"]: row for row in statuses},
    }


async def file(path: str, key: str) -> dict[str, Any]:
    """What ``load`` returns, as dictionaries, secrets revealed."""
    proxies = await FileStorage(path, encryption_key=key.encode() or None).load()
    return {
        str(proxy.id): proxy.model_dump()
        | {
            "id": str(proxy.id),
            "source_url": str(proxy.source_url),
            "username": proxy.username and proxy.username.get_secret_value(),
            "password": proxy.password and proxy.password.get_secret_value(),
        }
        for proxy in proxies
    }


def main(kind: str, path: str, key: str = "") -> None:
    """Print the pool as JSON."""
    loaded = asyncio.run(database(path) if kind == "database" else file(path, key))
    json.dump(plain(loaded), sys.stdout)


main(*sys.argv[1:])
