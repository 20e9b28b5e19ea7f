"""The command line: a thin layer over the engine that turns words into requests, and results into words."""

from tailrace.cli.app import main

__all__ = ["main"]
