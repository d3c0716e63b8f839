"""The REST API: what the command line can do, over HTTP, for a team.

Who asks comes first, then what is asked for:

- `guard`: around everything: request ids, who may come in, sizes, rates, the access log
- `callers`: keys become callers; `containment`: how far a caller's jobs may reach
- `jobs`, `steering`, `accounts`, `results`, `events`, `processors`, `workers`, `health`,
  `metrics`, `pages`: the routes, one module per noun
- `specs`: bodies become job specs; `dry_run`: what a job would do, in a process of its own
- `problems`: errors in the form of RFC 9457; `schemas`: the wire forms as JSON Schema
- `cursors`, `threads`, `streams`: pages, work off the event loop, long answers
- `service`: what the routes share; `application`: all of it put together
- `server`: the process that serves it, and the workers beside it

No route decides anything about jobs: `pravah.jobs` does. Nothing here talks to a database on the
event loop, and nothing that a caller sends is read without a limit.
"""
