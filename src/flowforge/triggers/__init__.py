"""What starts runs: webhooks, schedules, files, events, mail."""
