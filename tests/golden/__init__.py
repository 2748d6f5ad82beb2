"""The golden model against written-out loops, autograd and itself."""
