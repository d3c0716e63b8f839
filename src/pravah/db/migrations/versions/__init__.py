"""How a ledger's schema came to be: one file per change, run by Alembic."""
