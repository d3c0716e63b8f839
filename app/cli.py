"""Launcher of the documented command `python app/cli.py`."""

from pravah.cli import main

main()
