"""What is done with jobs: planned, worked on, closed, retried, told about.

- `service`: what command line and API call
- `planner`: a spec becomes a plan; sources and sink are looked at
- `supervisor`: works on jobs; `attempt`: one try of a task; `runner_process`: the other process
- `closing`: the end of a job; `accounts`: reports and failure groups
- `preview`: what a job would do
- `observer`: how far a job is, for whoever shows it

Nothing here knows which database holds the ledger, and nothing prints.
"""
