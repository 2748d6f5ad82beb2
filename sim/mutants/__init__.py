"""Would the benches of `make test` notice a wrong machine? Mutants: netlists of components with one wrong bit each.

    python -m sim.mutants --count 60 --seed 1

Each component that a bench simulates is synthesised, and Yosys changes single bits of its cells' ports: stuck at 0, stuck
at 1, or inverted. All mutants of a build are in it side by side, chosen by an input. A bench is started once for all of them:
the simulator's process splits off a child for each (`sim.harness.branch`), and the first test that fails in its child
has caught the mutant. `sim.mutants.sessions` does the same to the core of the whole virtual board, in sessions of its own.
"""
