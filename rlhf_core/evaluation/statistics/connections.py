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


def why_unplaced(names: Sequence[str], winners: Codes, losers: Codes) -> dict[str, str]:
    """Return {name: reason} for contenders without a finite strength; `winners[i]` scored against `losers[i]`.

    Strengths are finite exactly within a group where everyone has beaten everyone, if only through others: a strongly
    connected component (Zermelo 1929; Ford 1957). The largest one is ranked.
    """
    size = len(names)
    edges = sparse.csr_array((np.ones(len(winners)), (winners, losers)), shape=(size, size))
    groups = connected_components(edges, connection="strong")[1]
    ranked = groups == np.bincount(groups).argmax()
    if ranked.sum() < 2:
        return dict.fromkeys(names, NOBODY)
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
