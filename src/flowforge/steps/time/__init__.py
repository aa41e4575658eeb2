"""Times, time zones and calendars. All pure: each is an expression function too."""
