"""`python -m deconfound.cli`."""

from deconfound.cli import main

main()
