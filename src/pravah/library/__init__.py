"""Pravah as a library: what `import pravah` offers, for programs and notebooks.

- `calls`: plan and run; `jobs`: create, find and steer; `job`: one job
- `results`: what inspect steps found; `described`: arguments become a job spec
- `session`: opens the application for a call, and closes it at the call's end

The command line and the REST API do the same by the same services; nothing is decided here.
Between two calls nothing stays open, so objects may cross threads and forks.
"""
