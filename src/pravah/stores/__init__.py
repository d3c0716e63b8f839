"""How object stores are reached: endpoints, and who we are there.

- `connections`: settings become what the core is told of a connection
- `credentials`: keys, wherever the environment of AWS has them
- `metadata`: the services of a cloud that hand out keys which expire

The core speaks to the stores; nothing here does.
"""
