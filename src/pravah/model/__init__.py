"""What a job is: its spec, statuses, books, report, and the interface of the ledger.

- `spec`: the job spec as people write it
- `status`: every status and every change of status, in one table
- `job`: jobs, counts, files and failures in their wire forms
- `report`: the closing account
- `ledger`: what the rest of Pravah asks of a database
- `ids`: identifiers that sort by time

Nothing here opens a file, a socket or a database.
"""
