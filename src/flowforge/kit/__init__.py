"""Domain-free ground: errors, values, clock, ids, settings, database, keys, objects, egress, telemetry."""
