"""Mutation testing of the benches: netlists of components with one wrong bit each, which a test must notice.

    python -m tests.attack mutants --count 60 --seed 1

Each component of a bench is synthesised, and Yosys changes single bits of its cells' ports: stuck at 0, stuck
at 1, or inverted. A build contains all its mutants, selected by an input. Its simulator starts once and forks
a child for each test of each mutant (`sim.rigs.mutants.trial`); the first test that fails has caught the
mutant. Tests run in the order of their module. Modules of cores begin with the shortest test, because a
mutant that hangs takes three times the simulated time of its test. A test that checks several units of its
module only checks the mutant's unit. A surviving mutant is equivalent if a solver proves it
(`sim.rigs.mutants.proof`), or if equivalent.csv has a reason. `--only quick` is part of `make verify`;
`--only core.whole.test_tiny` takes mutants of a whole core, which trains beside the model.
"""
