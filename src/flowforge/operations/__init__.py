"""What an operation is, and the registry of all that are installed. No I/O."""
