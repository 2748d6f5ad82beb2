"""Would the benches notice a wrong machine? Mutants: netlists of components with one wrong bit each.

    python -m tests.attack mutants --count 60 --seed 1

Each component that a bench simulates is synthesised, and Yosys changes single bits of its cells' ports: stuck at 0, stuck
at 1, or inverted. All mutants of a build are in it side by side, chosen by an input. Its simulator is started once: the process
splits off a child for each test of each mutant (`sim.rigs.mutants.trial`), and the first test that fails has caught the mutant.
Tests are tried in the order of their module, which begins with the shortest one of a core: a mutant that hangs takes three
times as long as its test. Where a test asks the units of its module side by side, it asks the mutant's alone. A mutant that
survives is equivalent if a solver proves it (`sim.rigs.mutants.proof`), or if equivalent.csv says why. `--only quick` is a part
of `make verify`; `--only core.test_core_tiny` has mutants of a whole core, which trains beside the model.
"""
