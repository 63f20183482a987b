"""Training curves as a figure: runs over steps, episodes or minutes, with intervals, healthy range, checkpoints and names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.charts import FONT_SIZE, clip, new_figure
from dashboard.palette import Palette, translucent
from dashboard.services.curves import Series

NAMED_AT_END = 3
PLOT_PIXELS = 150


@dataclass(frozen=True)
class Guides:
    """What helps to read heights: the range of a good run, a height worth a line, places where a checkpoint was written."""

    healthy: tuple[float, float] | None = None
    mark: float | None = None
    events: Sequence[float] = ()


@dataclass(frozen=True)
class Axis:
    """What curves are drawn over: its title, the part shown (None is all), and whether places are milliseconds since 1970."""

    title: str = "steps"
    range: tuple[float, float] | None = None
    dates: bool = False


def draw_curves(
    series: Sequence[Series],
    palette: Palette,
    *,
    guides: Guides = Guides(),
    axis: Axis = Axis(),
    log: bool = False,
    bounds: tuple[float, float] | None = None,
) -> go.Figure:
    """Draw runs over one axis: smoothed over raw at 20%, the interval as a band, the healthy range behind.

    Args:
        series: one per run.
        guides: what stands behind the lines.
        axis: what they are drawn over.
        log: heights on a log scale; see `can_be_log`.
        bounds: cut the heights to these; what lies beyond is marked at the edge.
    """
    figure = new_figure(220, x_title=axis.title)
    figure.update_layout(hovermode="x unified", dragmode="select", selectdirection="h")
    figure.update_xaxes(range=axis.range, type="date" if axis.dates else "linear")
    for one in reversed(series):
        _add_line(figure, one, palette.run(one.place))
    mark, healthy, events = guides.mark, guides.healthy, guides.events
    mark = None if log and mark is not None and mark <= 0 else mark
    low, high = _reach(series, mark, log, bounds)
    if bounds:
        _mark_the_cut(figure, series, (low, high), palette)
    if log:
        figure.update_yaxes(type="log", range=[np.log10(low), np.log10(high)])
    else:
        figure.update_yaxes(range=[low, high])
    if healthy:
        bottom, top = max(healthy[0], low), min(healthy[1], high)
        if bottom < top:
            figure.add_hrect(bottom, top, fillcolor=palette.band, line_width=0, layer="below")
    if mark is not None:
        figure.add_hline(mark, line={"color": palette.faint, "width": 1})
    if events:
        _add_events(figure, events, low, palette)
    if 1 < len(series) <= NAMED_AT_END:
        _name_ends(figure, series, palette, (low, high), log)
    return figure


def can_be_log(series: Sequence[Series]) -> bool:
    """Say whether a log scale can show every height: all are above 0."""
    return all((values > 0).all() for values in _heights(series))


def _add_line(figure: go.Figure, one: Series, colour: str) -> None:
    if one.low is not None and one.high is not None:
        figure.add_scatter(
            x=np.concatenate([one.x, one.x[::-1]]),
            y=np.concatenate([one.high, one.low[::-1]]),
            fill="toself",
            fillcolor=translucent(colour, 0.15),
            mode="lines",
            line={"width": 0},
            hoverinfo="skip",
        )
    if not np.array_equal(one.raw, one.smooth):
        figure.add_scatter(
            x=one.x,
            y=one.raw,
            mode="lines",
            line={"color": translucent(colour, 0.2), "width": 1.5},
            hoverinfo="skip",
        )
    few = len(one.x) <= 30
    figure.add_scatter(
        x=one.x,
        y=one.smooth,
        name=clip(one.name),
        mode="lines+markers" if few else "lines",
        line={"color": colour, "width": 2},
        marker={"size": 4},
        hovertemplate="%{y:.4g}",
    )


def _heights(series: Sequence[Series]) -> list[NDArray[np.float64]]:
    parts = (values for one in series for values in (one.raw, one.low, one.high) if values is not None)
    return [values[np.isfinite(values)] for values in parts]


def _mark_the_cut(figure: go.Figure, series: Sequence[Series], shown: tuple[float, float], palette: Palette) -> None:
    """Draw a small triangle at the edge for every point that lies beyond it, which says how high or low it is."""
    for one in series:
        beyond = np.isfinite(one.raw) & ((one.raw < shown[0]) | (one.raw > shown[1]))
        above = one.raw[beyond] > shown[1]
        figure.add_scatter(
            x=one.x[beyond],
            y=np.where(above, shown[1], shown[0]),
            mode="markers",
            marker={
                "symbol": np.where(above, "triangle-up", "triangle-down"),
                "size": 7,
                "color": palette.run(one.place),
            },
            cliponaxis=False,
            customdata=one.raw[beyond],
            hovertemplate="cut: %{customdata:.4g}<extra></extra>",
        )


def _reach(
    series: Sequence[Series], mark: float | None, log: bool, bounds: tuple[float, float] | None
) -> tuple[float, float]:
    values = np.concatenate([*_heights(series), np.array([] if mark is None else [mark])])
    if bounds:
        values = values[(values >= bounds[0]) & (values <= bounds[1])]
    low, high = float(values.min()), float(values.max())
    if log:
        room = max((high / low) ** 0.06, 1.05)
        return low / room, high * room
    pad = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - pad, high + pad


def _add_events(figure: go.Figure, events: Sequence[float], bottom: float, palette: Palette) -> None:
    figure.add_scatter(
        x=list(events),
        y=[bottom] * len(events),
        mode="markers",
        marker={"symbol": "triangle-up", "size": 7, "color": palette.faint},
        cliponaxis=False,
        name="checkpoint",
        hovertemplate="checkpoint",
    )


def _name_ends(
    figure: go.Figure, series: Sequence[Series], palette: Palette, reach: tuple[float, float], log: bool
) -> None:
    low, high, *ends = (float(np.log10(y)) if log else y for y in (*reach, *(one.smooth[-1] for one in series)))
    pixels = [(end - low) / (high - low) * PLOT_PIXELS for end in ends]
    for one, end, at, shown in zip(series, ends, pixels, _apart(pixels), strict=True):
        figure.add_annotation(
            x=1,
            xref="paper",
            y=end,
            yshift=shown - at,
            text=clip(one.name, 14),
            xanchor="left",
            xshift=6,
            showarrow=False,
            font={"color": palette.run(one.place), "size": FONT_SIZE},
        )
    figure.update_layout(margin={"r": 96})


def _apart(pixels: Sequence[float], gap: float = 15.0) -> list[float]:
    """Return the heights pushed up, lowest first, until neighbours are `gap` apart."""
    shown, last = [0.0] * len(pixels), -np.inf
    for place in np.argsort(pixels, kind="stable"):
        last = shown[place] = max(pixels[place], last + gap)
    return shown
