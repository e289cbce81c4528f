"""What the CPU's device is made of: the machine's C++ compiler, the thread pool with the matrix products on it, the pool of
memory for arrays, and how much memory is free."""
