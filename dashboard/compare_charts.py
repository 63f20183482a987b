"""The pictures of the Compare page alone: length against preference."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.charts import clip, new_figure
from dashboard.palette import Palette, translucent

JITTER = 0.012


def length_scatter(
    words: NDArray[np.float64],
    preference: NDArray[np.float64],
    prompts: list[str],
    palette: Palette,
    y_title: str,
    share: bool,
) -> go.Figure:
    """Draw a dot a prompt: the change of length against what was preferred, a `share` (½ is even) or a change of score."""
    figure = new_figure(380, x_title="change of length, words", y_title=y_title)
    even = 0.5 if share else 0.0
    figure.add_hline(even, line={"color": palette.faint, "width": 1.5})
    figure.add_vline(0, line={"color": palette.faint, "width": 1.5})
    spread = np.random.default_rng(0).uniform(-JITTER, JITTER, len(preference)) if share else 0.0
    form = ".0%" if share else "+.2f"
    for above, colour, symbol in ((True, palette.tuned, "circle"), (False, palette.base, "circle-open")):
        mine = preference > even if above else preference <= even
        figure.add_scatter(
            x=words[mine],
            y=(preference + spread)[mine],
            mode="markers",
            marker={"color": translucent(colour, 0.7), "size": 8, "symbol": symbol},
            customdata=[
                [clip(prompt), value] for prompt, value, one in zip(prompts, preference, mine, strict=True) if one
            ],
            hovertemplate=f"%{{customdata[0]}}<br>%{{x:+d}} words, %{{customdata[1]:{form}}}<extra></extra>",
        )
    figure.update_xaxes(showgrid=True)
    if share:
        figure.update_yaxes(range=[-0.05, 1.05], tickformat=".0%")
    return figure
