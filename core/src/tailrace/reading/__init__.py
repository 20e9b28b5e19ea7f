"""Reading databases for sources: one consistent snapshot, exact values, bounded memory."""
