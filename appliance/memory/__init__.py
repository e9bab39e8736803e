"""Memories: what tasks and the API write under keys and read again."""
