"""What becomes of a flipped bit: one upset at a time in a memory of the virtual board, or in a flip-flop, while it trains.

    python -m tests.attack upsets --count 200 --seed 1
    python -m tests.attack upsets --flip-flops --count 500 --seed 1

Each case loads the same weights, trains `BATCHES` batches, and ends with an inference and all weights read. In the second batch
one bit flips: after a drawn number of cycles in which the core is busy, or when its last sample is done, before the commit.
What the board then says is compared with an undisturbed golden model as `--twin` compares it. After what is noticed the same
is done once more, without a reset: is the board sound again?
"""
