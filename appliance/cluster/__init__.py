"""Servers that share a database of PostgreSQL: who is a member, and what they ask each other."""
