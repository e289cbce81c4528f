"""Times training iterations, for `minivae bench` and the scripts in bench/: which iterations, the clock that takes parts in
turn, and the matrix products of a step alone, to compare with."""
