"""The ledger: tables, named queries, migrations, and the transactions that keep the promises.

- `schema`: the tables; `migrations/`: how older ledgers come to have them
- `queries.sql`: every statement, named and described; `queries` loads it
- `connect`, `open`: connections, and a ledger that is created, checked and ready
- `ledger`: the interface; one transaction per method
- `jobs`, `requests`, `claims`, `windows`, `closing`, `workers`: what those transactions do
- `worker_lock`: the file lock behind the leases of an embedded ledger

This package is empty of imports: whoever only needs a lock does not wait for SQLAlchemy.
"""
