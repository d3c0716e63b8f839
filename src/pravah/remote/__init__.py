"""What the job service does, asked of a server over HTTP.

`application` and `jobs` have the methods of `bootstrap.Application` and `jobs.JobService`, so that
commands and library need not know which one they have; `forms` reads the wire forms back into the
model, `places` refuses paths that mean nothing to a server, `transport` speaks HTTP and nothing
else. Nothing here opens a ledger or loads the core.
"""
