"""The training of a model: the trainer and what it is made of (batches, labels, the cost as it runs, snapshots and the way
back to them, the watch for a code that collapses), the checks before it, the batch size that fits, and the way on from a
stopped run. fitting.py, a floor above, goes from what was asked for to the trained model."""
