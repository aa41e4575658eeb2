"""What is made from the OpenAPI document of the server.

Made by scripts/client_models.py; do not edit.
"""
