"""Composite records: what starts them, advances them and ends them. What they ask for is up to `qchive.kinds`."""
