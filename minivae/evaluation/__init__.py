"""How good a model is: its cost, the fixed-point statistics of batch norm that this takes, the likelihood by importance
sampling, all that `minivae eval` measures, and the intervals of such numbers over images and over runs."""
