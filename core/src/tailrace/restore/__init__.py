"""Reading pools back: pool files are unlocked, planned against a pool, applied, and taken back."""
