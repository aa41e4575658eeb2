"""Long work with progress: what cannot be done while its caller waits goes on by itself."""
