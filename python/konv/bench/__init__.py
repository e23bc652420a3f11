"""Benchmarks: Konv by itself and beside other libraries. `konv bench` runs them."""
