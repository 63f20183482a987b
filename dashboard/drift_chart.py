"""A held-out measure against √KL, measurement by measurement from the reference on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.charts import FONT_SIZE, new_figure
from dashboard.palette import Palette


def draw_drift(frame: pd.DataFrame, measure: str, marks: dict[int, str], palette: Palette, reach: float) -> go.Figure:
    """Draw one measure over √KL, the score in blue and what was not optimised in orange.

    Args:
        frame: `step`, `kl`, `root_kl` and the measure, in order of steps.
        measure: the column to draw.
        marks: steps with a name, such as best; they are labelled and drawn as rings.
        reach: largest √KL of all figures that stand together, so that they share an axis.
    """
    points = frame.dropna(subset=[measure])
    colour = palette.tuned if measure == "score" else palette.third
    figure = new_figure(220, x_title="√KL to the reference, √nats per response")
    figure.add_scatter(
        x=points["root_kl"],
        y=points[measure],
        mode="lines+markers",
        line={"color": colour, "width": 2},
        marker={"size": 5},
        customdata=points[["step", "kl"]],
        hovertemplate="step %{customdata[0]}: %{y:.4g} at KL %{customdata[1]:.2f} nats<extra></extra>",
    )
    marked = points[points["step"].isin(list(marks))]
    figure.add_scatter(
        x=marked["root_kl"],
        y=marked[measure],
        mode="markers+text",
        text=[marks[step] for step in marked["step"]],
        textposition=_beside_the_line(points, measure, marked.index, reach),
        textfont={"color": palette.ink, "size": FONT_SIZE},
        marker={"symbol": "circle-open", "size": 12, "color": colour, "line": {"width": 2}},
        cliponaxis=False,
        hoverinfo="skip",
    )
    figure.update_traces(
        unselected={"marker": {"opacity": 1}, "textfont": {"color": palette.ink}}
    )  # a click picks a step
    figure.update_layout(margin={"t": 22})  # room for a name above the highest point
    figure.update_xaxes(range=[-0.04 * reach, 1.08 * reach])
    return figure


def _beside_the_line(points: pd.DataFrame, measure: str, marked: pd.Index, reach: float) -> list[str]:
    """Where each name stands: above a line that rises to its point, below one that falls, and never past the edge."""
    heights, places = (np.asarray(points[column], dtype=float) for column in (measure, "root_kl"))
    falls = np.diff(heights, prepend=heights[:1]) < 0
    return [
        f"{'bottom' if falls[k] else 'top'} {'left' if places[k] > reach / 2 else 'right'}"
        for k, n in enumerate(points.index)
        if n in marked
    ]
