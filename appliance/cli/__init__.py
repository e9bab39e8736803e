"""The command line: parse, call an operation, render. No rules in here."""
