"""What processes decide together, and how a launcher's environment is read."""

import pytest
from threads_group import together

from minivae.errors import MinivaeError, UsageError
from minivae.parallel import launcher, mpi
from minivae.parallel.agreement import Agreement, Wishes, require_same
from minivae.parallel.group import ALONE, Group


def test_shares_are_contiguous_and_even():
    for count in (0, 1, 7, 100):
        for size in (1, 2, 3, 8):
            group = Group()
            group.size = size
            shares = [group.share(count, rank) for rank in range(size)]
            assert shares[0][0] == 0 and shares[-1][1] == count
            assert all(a[1] == b[0] for a, b in zip(shares[:-1], shares[1:], strict=True))
            sizes = [end - begin for begin, end in shares]
            assert max(sizes) - min(sizes) <= 1


def test_alone_has_its_wishes_after_every_step():
    agreement = Agreement(ALONE, 1000.0)
    assert [agreement.after(step, lambda: Wishes(stop=True)) for step in range(1, 4)] == [Wishes(stop=True)] * 3


def test_a_group_meets_at_the_same_steps_and_decides_the_same():
    """Though only one of them wishes something, at a step of its own choice; and seldom, where steps are quick."""

    def work(group):
        agreement, asked = Agreement(group, 0.05), []

        def wishes(step):
            asked.append(step)
            return Wishes(save=group.rank == 0 and step > 50, stop=group.rank == 2 and step > 100)

        for step in range(1, 100_000):
            decided = agreement.after(step, lambda step=step: wishes(step))
            if decided.stop:
                return step, asked

    (step, asked), *others = together(3, work)
    assert all(other == (step, asked) for other in others)
    assert step > 100 and asked[-1] == step and len(asked) < step / 2


def test_a_training_that_went_back_is_met_at_once():
    """Else nobody could stop it until it has come again as far as it was."""

    def work(group):
        agreement = Agreement(group, 1000.0)
        for step in (1, 2, 6, 22, 86):
            agreement.after(step, Wishes)
        return agreement.after(40, lambda: Wishes(stop=True)).stop, agreement.after(41, lambda: Wishes(stop=True)).stop

    assert together(2, work) == [(True, True)] * 2


def test_what_differs_is_named():
    def work(group):
        with pytest.raises(MinivaeError) as error:
            require_same(group, {"minivae": "1", "setting": {"seed": group.rank // 2, "epochs": 3}}, "take one")
        return str(error.value)

    assert together(4, work) == ["process 2 has another setting than process 0: seed = 1, not seed = 0; take one"] * 4
    assert together(3, lambda group: require_same(group, {"minivae": "1"}, "")) == [None] * 3


@pytest.mark.parametrize(("told", "size", "rank"), [
    ({}, 1, 0), ({"PMI_SIZE": "4", "PMI_RANK": "3"}, 4, 3),
    ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}, 2, 1),
    ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5"}, 8, 5), ({"PMI_SIZE": "", "SLURM_STEP_NUM_TASKS": "1"}, 1, 0)])
def test_what_launchers_say(monkeypatch, told, size, rank):
    for name in (*launcher.SIZES, *launcher.RANKS):
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert (launcher.launched(), launcher.rank()) == (size, rank)


def test_one_gpu_for_several_processes_is_refused():
    world = type("Two", (), {"size": 2, "local_rank": 1})
    assert mpi.place(None, "cuda:3") == 0 and mpi.place(world, "cuda") == mpi.place(world, "auto") == 1
    with pytest.raises(UsageError, match="--device cuda:0 is one GPU for 2 processes: take --device cuda"):
        mpi.place(world, "cuda:0")
