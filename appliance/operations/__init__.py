"""The rules, one module for each noun; the server, the command line and the engine share them."""
