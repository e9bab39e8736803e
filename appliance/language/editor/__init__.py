"""JSON Schemas of every kind of file, for editors: what can be written where, and what it means.

They say what one field alone can say, so an editor finds a typing error while it is made. What needs
the rest of a project (is there such a task?) the loader says: see `validate`.
"""
