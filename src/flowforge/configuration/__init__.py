"""What administrators set while the server runs: settings, feature flags, the origins of CORS."""
