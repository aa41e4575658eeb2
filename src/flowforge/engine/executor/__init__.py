"""The shell around the pure core: owns runs, turns them, commits, runs effects. The only part of the engine with a clock and tasks."""

from flowforge.engine.executor.engine import Engine, EngineParts, Started
from flowforge.engine.executor.settings import EngineSettings

__all__ = ["Engine", "EngineParts", "EngineSettings", "Started"]
