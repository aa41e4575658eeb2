"""New identifiers. Effects: what was made is in the journal, so that a replay sees it again."""
