"""Pools in Redis for Tailrace, as https://github.com/jhao104/proxy_pool keeps them.

The layout, by that project's ``helper/proxy.py`` and ``db/redisClient.py``: one hash, by default ``use_proxy``; a field
is an address, ``ip:port`` or ``user:password@ip:port``, and its value a JSON object:

===============  =====================================================================================================
``proxy``        the address again
``https``        whether it takes HTTPS; missing in pools of before May 2021
``fail_count``   checks that failed and were not made good since
``region``       where it is, by a service that is asked for it; may be empty
``anonymous``    a word of whoever offered it, for how anonymous it is; ``type`` in old versions
``source``       who offered it; several with ``/`` between
``check_count``  checks so far
``last_status``  whether the last check went well: true, false, 1, 0, or an empty text before the first one
``last_time``    when that was, by the clock of the pool's machine and without a zone; empty before the first one
===============  =====================================================================================================
"""

from tailrace import Source, hookimpl


@hookimpl
def tailrace_source() -> Source:
    """Offer the source ``redis``."""
    from tailrace_source_redis.source import RedisSource

    return RedisSource()
