"""The store on SQLite: hand-written statements on the plain driver, one operation a file."""
