"""A package, unlike the other folders of tests: what its tests share is imported by all versions of pytest that way."""
