"""A package, unlike most folders of tests, so that its modules can share readers and tables."""
