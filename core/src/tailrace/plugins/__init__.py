"""Finding, loading and describing plugins, and the contracts they fulfil."""
