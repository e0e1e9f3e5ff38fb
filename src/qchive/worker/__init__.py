"""The worker: claims tasks over HTTP, runs them in processes of its own, returns the results.

The process that talks to the server stays small and never imports a quantum-chemistry library; everything that
computes happens in its children (`executors/`).
"""
