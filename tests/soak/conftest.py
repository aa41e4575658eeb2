"""The fixtures of clusters."""

from tests.support.cluster_fixtures import cluster_on_each, make_cluster, nursery, shared_mysql, shared_postgres

__all__ = ["cluster_on_each", "make_cluster", "nursery", "shared_mysql", "shared_postgres"]
