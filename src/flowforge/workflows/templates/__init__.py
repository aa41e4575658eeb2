"""Templates: workflows, steps and mails to begin from."""
