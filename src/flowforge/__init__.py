"""FlowForge: workflow automation that loses nothing."""

__version__ = "0.1.0"
