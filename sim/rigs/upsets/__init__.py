"""Single-event upsets: flipped bits in memories or flip-flops of the virtual board while it trains.

    python -m tests.attack upsets --count 200 --seed 1
    python -m tests.attack upsets --flip-flops --count 500 --seed 1

Each case loads the same weights, trains `BATCHES` batches, infers some samples and reads all weights.
In the second batch one bit flips: after a random number of cycles in which the core is busy, or after
the last sample and before the commit. The board's answers are compared with an undisturbed golden
model, as `--twin` does. If the upset is noticed, the case runs again without a reset and without an
upset, to see whether the board has recovered.
"""
