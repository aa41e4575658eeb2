"""Chance, from the operating system's source for secrets. Effects: what was drawn is in the journal, so that a replay sees it again."""
