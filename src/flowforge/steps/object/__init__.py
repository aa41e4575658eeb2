"""Objects in buckets of S3, and of stores that speak as it does."""
