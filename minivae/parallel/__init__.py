"""Several processes that train one model: the group that all else sees, MPI and NCCL behind it, what a launcher says, and
what the processes must agree on. device.py makes its collectives with collectives.py and nccl.py; mpi.py uses devices."""
