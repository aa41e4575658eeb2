"""Code that users write, run in processes that reach nothing.

Kept empty: the process of a script imports this package too, and must start fast. `SandboxPool` stands in `pool`.
"""
