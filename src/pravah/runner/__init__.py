"""The process that runs the core: one call of the engine per task, each on a thread of its own.

- `frames`: what supervisor and runner say to each other
- `calls`: engine calls, their records and verdicts
- `python -m pravah.runner FD PARENT NOTES`: the process

It has no database and never imports SQLAlchemy. It dies with its supervisor.
"""
