"""`python -m qchive.cli` is `qchive`."""

from qchive.cli import main

main()
