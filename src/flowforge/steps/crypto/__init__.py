"""Hashes and signatures."""
