"""Conformance kit and fakes for authors of Tailrace plugins."""
