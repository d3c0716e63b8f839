"""`python -m pravah` is the command `pravah`."""

from pravah.cli import main

main()
