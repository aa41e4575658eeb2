"""Who did what: append-only, chained by hashes, signed, verifiable offline."""
