"""The workflow language: documents, graph, checks, expressions. No I/O."""
