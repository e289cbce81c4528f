"""Whether a run is finished is the same for the list of runs, its page, and whoever goes on with it."""

from dataclasses import replace

import pytest
from command_line import minivae
from pages import data_set, page_of, trained

from minivae import checkpoint
from minivae.device import cpu
from minivae.page import of_run
from minivae.runs import listing

SAID = {"finished": "finished", "interrupted": "stopped", "model": "saved model"}      # on its page


@pytest.mark.parametrize(("change", "epochs", "state"), [
    ({}, 2, "finished"),
    ({}, 3, "interrupted"),                             # it was asked for more, and stopped before it began with them
    ({"finished": False}, 2, "interrupted"),            # all steps were made, the statistics were not
    ({"finished": None}, 2, "finished"),                # older ones do not say, only how many epochs are over
    ({"finished": None, "epoch": 1}, 2, "interrupted"),
    ({"finished": None}, 3, "interrupted"),
    ({"finished": None, "epoch": None, "step": None, "optimizer": None}, 2, "model"),
])
def test_all_agree_on_what_is_finished(rng, tmp_path, change, epochs, state):
    """By the facts of the newest checkpoint, None for one that it does not have, and by the epochs asked for."""
    run = trained(tmp_path / "run", data_set(rng), cpu())
    arrays, told = run.state()
    told = {name: value for name, value in {**told, **change}.items() if value is not None}
    checkpoint.save(run.checkpoint, arrays, told)
    run.write(replace(run.settings(), epochs=epochs))
    run.release()
    assert listing.figures(run)["state"] == state
    of_run.write_for(run, *run.load_with_facts(cpu()), None)
    words = page_of(run).words
    assert [each for each in SAID.values() if f"{each} " in words[:words.index("Costs")]] == [SAID[state]]
    _, out, err = minivae("train", "--resume", "run", "--device", "cpu", cwd=tmp_path)
    assert ("run is finished: " in out) == (state == "finished") and "Traceback" not in err
    assert ("minivae: run holds a model, but no state of a training" in err) == (state == "model")
