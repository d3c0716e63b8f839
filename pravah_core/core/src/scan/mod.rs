//! Lists directory trees in parallel.
