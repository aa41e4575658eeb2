"""The store port on PostgreSQL and on MySQL or MariaDB."""
