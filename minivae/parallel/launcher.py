"""Whether a launcher such as mpiexec or srun has started this process with others: what it says in the environment."""

from __future__ import annotations

import os

# How many processes: Hydra and Slurm's PMI, Open MPI, MVAPICH, Slurm's PMIx. And which of them this one is.
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID")


def launched() -> int:
    """How many processes the launcher says that it has started; 1 without a launcher."""
    return max([1, *_numbers(SIZES)])


def rank() -> int:
    """The number of this one as the launcher says it, 0 where it says none."""
    return max([0, *_numbers(RANKS)])


def _numbers(names: tuple[str, ...]) -> list[int]:
    return [int(told) for told in map(os.environ.get, names) if told and told.isdigit()]
