"""What runs inside the process of a script. Imports nothing of FlowForge but `frames`."""
