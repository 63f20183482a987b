"""How many words a labeller had to read, how much longer the contender is, and how long the log is."""

from __future__ import annotations

from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import TaskDesign, build_task
from tests.vote_factory import completion, judge, make_spec, shown


def test_words_are_all_that_is_read_and_the_difference_is_the_pairs(store: VoteStore):
    sides = [[completion("p", name, text)] for name, text in (("a", "one"), ("b", "one two\nthree"), ("c", ""))]
    task = store.ensure_task(build_task("three", sides, "Choose.", 0, TaskDesign("ranking")))
    store.vote(shown(store, task).token, "a=b=c", reading_seconds=1.0)
    votes = store.votes(task)
    # Read: "Question p?" 2, and 1 + 3 + 0. The pairs are a–b, a–c, b–c, the later one the contender.
    assert votes["words"].tolist() == [6, 6, 6]
    assert votes["length_difference"].tolist() == [3 - 1, 0 - 1, 0 - 3]


def test_the_log_grows_with_votes_skips_and_undos(store: VoteStore):
    task, other = store.ensure_task(make_spec()), store.ensure_task(make_spec(seed=1))
    sizes = [store.log_size(task)]
    judge(store, task, "a")
    sizes.append(store.log_size(task))
    store.vote(shown(store, task).token, "skip", reading_seconds=0.0)
    sizes.append(store.log_size(task))
    store.undo(task, "ana")
    sizes.append(store.log_size(task))
    assert (sizes, store.log_size(other)) == ([0, 1, 2, 3], 0)
