"""Pools that are written to: ProxyWhirl's database, its FileStorage, and files of a dialect, as ``PoolTarget``s."""
