"""The REST API: what the command line can do, over HTTP, for a team.

Who asks comes first, then what is asked for:

- `guard`: around everything: request ids, who may come in, sizes, rates, the access log, spans
- `cors`: around the guard, where the operator names origins whose pages may call
- `callers`: keys become callers; `containment`: how far a caller's jobs may reach
- `jobs`, `steering`, `undo`, `accounts`, `results`, `events`, `stories`, `processors`, `workers`,
  `health`, `metrics`, `pages`: the routes, one module per noun
- `orders`: a `POST /jobs` carried out once, however often it is sent
- `specs`: bodies become job specs; `multipart`: bodies in parts become files, `uploads`: where
  these lie, and for how long; `dry_run`: what a job would do, in a process of its own
- `problems`: errors in the form of RFC 9457; `schemas`: the wire forms as JSON Schema
- `cursors`, `threads`, `streams`: pages, work off the event loop, long answers
- `looks`: one look into the ledger for all who ask for the same job at once
- `service`: what the routes share; `application`: all of it put together
- `server`: the process that serves it, and the workers beside it

No route decides anything about jobs: `pravah.jobs` does. Nothing here talks to a database on the
event loop, and nothing that a caller sends is read without a limit.
"""
