"""Measures Pravah against its peers: same run, same machine, same data, in turn.

- `data`: the data sets, the same bytes for everybody who makes them
- `contest`: the method; entrants run A B A B, medians are compared
- `rows`: one module per row of the table
- `machine`: what it ran on
- `report`: the page `docs/benchmarks.md`

`make bench` runs all of it, `make bench ROW=scan` one row, `SCALE=full` the sizes of the
targets. Nothing here is a test: a figure never fails the build.
"""
