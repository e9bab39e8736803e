"""Tools: Python functions of the user, called in processes of their own."""
