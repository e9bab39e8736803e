"""The HTTP edge: parses, authenticates, calls an operation and renders. No rules live here."""
