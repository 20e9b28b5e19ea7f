"""What the process of its own hands over, piece by piece: each begins with a byte that says what it is."""

TABLE = b"T"
"""A table begins: its name, as JSON."""
ROWS = b"F"
"""Some rows of the table that has begun, as an Arrow stream."""
