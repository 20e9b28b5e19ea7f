"""What formats that draw reports have in common, so that paper and screen agree by construction."""
