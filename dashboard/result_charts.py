"""The pictures of the Results page alone: who beats whom, the interval along the way, what a judge chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.charts import FONT_SIZE, new_figure
from dashboard.palette import Palette, translucent

ROW = 44


def matrix(table: pd.DataFrame, palette: Palette) -> go.Figure:
    """Draw win rates, row against column, from the third contender's orange below one half to blue above; each is written out."""
    figure = new_figure(90 + ROW * len(table))
    values = table.to_numpy(float)
    middle = translucent(palette.base, 0.12)
    figure.add_heatmap(
        z=values,
        x=list(table.columns),
        y=list(table.index),
        zmin=0,
        zmax=1,
        colorscale=[[0, translucent(palette.third, 0.75)], [0.5, middle], [1, translucent(palette.tuned, 0.75)]],
        showscale=False,
        xgap=2,
        ygap=2,
        text=[["" if np.isnan(value) else f"{value:.0%}" for value in row] for row in values],
        texttemplate="%{text}",
        textfont={"color": palette.ink, "size": FONT_SIZE + 1},
        hovertemplate="%{y} against %{x}: %{z:.1%}<extra></extra>",
        hoverongaps=False,
    )
    return _square(figure, len(table))


def counts(table: pd.DataFrame, palette: Palette) -> go.Figure:
    """Draw a table of counts, darker the more of its row."""
    figure = new_figure(90 + ROW * len(table))
    amounts = table.to_numpy(float)
    shares = amounts / np.maximum(amounts.sum(axis=1, keepdims=True), 1)
    figure.add_heatmap(
        z=shares,
        x=list(table.columns),
        y=list(table.index),
        zmin=0,
        zmax=1,
        colorscale=[[0, translucent(palette.tuned, 0.04)], [1, translucent(palette.tuned, 0.7)]],
        showscale=False,
        xgap=2,
        ygap=2,
        text=[[f"{int(value)}" for value in row] for row in amounts],
        texttemplate="%{text}",
        textfont={"color": palette.ink, "size": FONT_SIZE + 1},
        hovertemplate="people: %{y}, judge: %{x}: %{text} items, %{z:.0%} of the row<extra></extra>",
    )
    return _square(figure, len(table))


def stop_path(path: Sequence[tuple[int, float, float]], settled_at: int | None, palette: Palette) -> go.Figure:
    """Draw the interval that holds at every look as a band over prompts, against one half."""
    figure = new_figure(230, x_title="prompts judged", y_title="win rate")
    prompts, low, high = (list(column) for column in zip(*path, strict=True))
    edge = {"color": palette.tuned, "width": 1.5, "shape": "hv"}
    figure.add_scatter(
        x=prompts,
        y=high,
        mode="lines",
        line=edge,
        name="high",
        hovertemplate="%{x} prompts: at most %{y:.1%}<extra></extra>",
    )
    figure.add_scatter(
        x=prompts,
        y=low,
        mode="lines",
        line=edge,
        name="low",
        fill="tonexty",
        fillcolor=translucent(palette.tuned, 0.15),
        hovertemplate="%{x} prompts: at least %{y:.1%}<extra></extra>",
    )
    figure.add_hline(0.5, line={"color": palette.faint, "width": 1.5})
    if settled_at is not None:
        figure.add_vline(settled_at, line={"color": palette.ink, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=settled_at, y=0.04, text=f"settled at {settled_at:,}", showarrow=False, xanchor="left", xshift=4
        )
    figure.update_yaxes(range=[0, 1], tickformat=".0%", fixedrange=True)
    figure.update_xaxes(rangemode="tozero")
    return figure


def with_names(table: pd.DataFrame, named: Mapping[str, str]) -> pd.DataFrame:
    """Return a square table with its rows and columns in words."""
    return table.rename(index=dict(named), columns=dict(named))


def _square(figure: go.Figure, rows: int) -> go.Figure:
    figure.update_xaxes(side="top", fixedrange=True, showgrid=False, nticks=rows + 1)
    figure.update_yaxes(autorange="reversed", fixedrange=True, showgrid=False, nticks=rows + 1)
    return figure
