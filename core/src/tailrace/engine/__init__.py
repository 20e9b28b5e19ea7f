"""The engine: the one object that a host application needs, put together by subject."""

from tailrace.engine.engine import Engine as Engine

__all__ = ["Engine"]
