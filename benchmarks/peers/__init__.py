"""Compozy beside products that do the same work: `make bench-peers`, told in docs/benchmarks.md."""
