"""Every kernel on a device beside the same in float64 on the CPU: what a case is, the cases (those of layers on their own),
and the run over all of them that `minivae doctor` makes."""
