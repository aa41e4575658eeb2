"""The installation as its operators see it: versions, health, queues, workers, dead letters, mail, figures."""
