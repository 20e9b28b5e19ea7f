"""Values that travel through the engine: plain frozen classes, no I/O, nothing of ours imported."""
