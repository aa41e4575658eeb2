"""Runs: start, inspect, cancel, repair, search, export."""
