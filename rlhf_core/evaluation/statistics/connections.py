"""Which contenders the votes can place against each other, and in words why not the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order, connected_components

from rlhf_core.evaluation.statistics.checks import Codes

ALONE = "nothing compares it with those ranked, directly or through others"
AHEAD = "it never lost to those ranked: stronger, but by how much cannot be said"
BEHIND = "it never beat one of those ranked: weaker, but by how much cannot be said"
APART = "those it shares with the ranked lost to both, or beat both: which is stronger cannot be said"
NOBODY = "no two contenders have both won and lost against each other, not even through others"


def why_unplaced(names: Sequence[str], won: Codes, tied: Codes) -> dict[str, str]:
    """Return {name: reason} for contenders without a finite strength; `won` is (winners, losers), `tied` those who tied.

    Strengths are finite within a group where everyone has beaten everyone, if only through others: a strongly
    connected component (Zermelo 1929; Ford 1957). A tie counts both ways once someone in the group has beaten and lost
    to the same contenders, if only in a circle; before, more and more ties explain a tie as well as equal strength does.
    The largest such group is ranked.
    """
    wins = _graph(won, len(names))
    edges = _graph(np.hstack([won, tied, tied[::-1]]), len(names))
    circles = connected_components(wins, connection="strong")[1]
    groups = connected_components(edges, connection="strong")[1]
    circular = np.bincount(circles)[circles] > 1
    if not circular.any():
        return dict.fromkeys(names, NOBODY)
    candidates = np.unique(groups[circular])
    ranked = groups == candidates[np.bincount(groups)[candidates].argmax()]
    centre = int(np.flatnonzero(ranked)[0])
    linked = connected_components(edges, connection="weak")[1]
    behind, ahead = (set(breadth_first_order(graph, centre)[0].tolist()) for graph in (edges, edges.T.tocsr()))
    found = {}
    for i in np.flatnonzero(~ranked).tolist():
        if linked[i] != linked[centre]:
            found[names[i]] = ALONE
        else:
            found[names[i]] = BEHIND if i in behind else AHEAD if i in ahead else APART
    return found


def _graph(pairs: Codes, size: int) -> sparse.csr_array:
    return sparse.csr_array((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(size, size))
