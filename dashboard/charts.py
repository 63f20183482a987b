"""Frames to figures, pure. `new_figure` is the one place that sets margins, grid, hover and behaviour on refresh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.palette import Palette, translucent
from rlhf_core.evaluation.statistics import Estimate
from rlhf_core.visible import one_line

FONT_SIZE = 12


def new_figure(height: int, *, x_title: str = "", y_title: str = "") -> go.Figure:
    """Return an empty figure in the house style; zoom and hidden traces survive a refresh (`uirevision`)."""
    return go.Figure(  # in one call: each update of a figure costs as much again
        layout={
            "height": height,
            "margin": {"l": 8, "r": 12, "t": 10, "b": 8},
            "hovermode": "closest",
            "showlegend": False,
            "uirevision": "keep",
            "font": {"size": FONT_SIZE},
            "dragmode": "zoom",
            "xaxis": {
                "title": {"text": x_title, "standoff": 6},
                "showgrid": False,
                "zeroline": False,
                "automargin": True,
            },
            "yaxis": {"title": {"text": y_title, "standoff": 6}, "zeroline": False, "automargin": True, "nticks": 6},
        }
    )


def outcome_bar(
    shares: Mapping[str, Estimate], names: Mapping[str, str], colours: Mapping[str, str], palette: Palette
) -> go.Figure:
    """Draw the shares of outcomes as one bar, each labelled; `colours` are those of the contender's and baseline's wins."""
    quiet = {"tie": 0.28, "both_bad": 0.14}
    figure = new_figure(92)
    for outcome, name in names.items():
        share = shares[outcome]
        fill = colours.get(outcome) or translucent(palette.base, quiet[outcome])
        figure.add_bar(
            x=[share.value],
            y=[""],
            name=name,
            orientation="h",
            marker={"color": fill, "line": {"width": 0}},
            text=_bar_label(name, share.value),
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": palette.on_fill if outcome in colours else palette.ink},
            constraintext="none",
            hovertemplate=f"{name}: {share.value:.1%} [{share.low:.1%}, {share.high:.1%}]<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0, margin={"l": 0, "r": 0})
    figure.update_xaxes(visible=False, range=[0, 1], fixedrange=True)
    figure.update_yaxes(visible=False, fixedrange=True)
    return figure


def intervals(
    names: Sequence[str],
    rows: Sequence[tuple[float, float, float]],
    palette: Palette,
    *,
    reference: float,
    x_title: str,
    share: bool = False,
    upper: float = 1.0,
    colours: Sequence[str] | None = None,
) -> go.Figure:
    """Draw one dot with its interval a row, first row on top, against a reference line.

    Args:
        names: one per row, as they are: each is cut to 60 letters and escaped here.
        rows: value, low, high.
        reference: the height of "no difference".
        x_title: what is measured, with its unit.
        share: write the axis in percent, from 0 to `upper`.
        colours: one per row; None draws all in the tuned model's.
    """
    figure = new_figure(70 + 30 * len(names), x_title=x_title)
    form = ".1%" if share else ".3g"
    names, colours = [clip(name) for name in names], colours or [palette.tuned] * len(names)
    for row, (name, (value, low, high), colour) in enumerate(zip(names, rows, colours, strict=True)):
        figure.add_scatter(
            x=[value],
            y=[row],
            mode="markers",
            cliponaxis=False,
            marker={"color": colour, "size": 9},
            error_x={"type": "data", "array": [high - value], "arrayminus": [value - low], "width": 0, "thickness": 2},
            customdata=[[low, high]],
            hovertemplate=f"{name}: %{{x:{form}}} [%{{customdata[0]:{form}}}, %{{customdata[1]:{form}}}]<extra></extra>",
        )
    figure.add_vline(reference, line={"color": palette.faint, "width": 1.5})
    every = {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": names}
    figure.update_yaxes(range=[len(names) - 0.5, -0.5], showgrid=False, **every)
    figure.update_xaxes(showgrid=True, tickformat=".0%" if share else None, rangemode="normal")
    if share:
        figure.update_xaxes(range=[0, upper])
    return figure


def slopes(prompts: pd.DataFrame, palette: Palette) -> go.Figure:
    """Draw every prompt's change as a line from base to tuned, risers in orange, the mean thick in blue.

    `prompts` holds `before`, `after`, `prompt` and `prompt_id`.
    """
    figure = new_figure(320)
    for prompt, before, after in prompts[["prompt", "before", "after"]].to_numpy():
        colour = palette.third if after > before else palette.base
        figure.add_scatter(
            x=["base model", "tuned"],
            y=[before, after],
            mode="lines+markers",
            line={"color": translucent(colour, 0.5), "width": 1.2},
            marker={"size": 4, "color": colour},
            hovertemplate=f"{clip(str(prompt))}<br>%{{x}}: %{{y:.3f}}<extra></extra>",
        )
    means = [prompts["before"].mean(), prompts["after"].mean()]
    figure.add_scatter(
        x=["base model", "tuned"],
        y=means,
        mode="lines+markers",
        line={"color": palette.tuned, "width": 4},
        marker={"size": 10, "color": [palette.base, palette.tuned]},
        hovertemplate="mean, %{x}: %{y:.3f}<extra></extra>",
    )
    figure.update_xaxes(range=[-0.25, 1.25], fixedrange=True)
    return figure


def dot_rows(groups: Mapping[str, np.ndarray], colours: Sequence[str], palette: Palette, *, x_title: str) -> go.Figure:
    """Draw each group's values as stacked dots on its own row, sharing x, with the mean as a line.

    `groups` maps a row's name to its values, first row on top.
    """
    figure = new_figure(90 + 110 * len(groups), x_title=x_title)
    everything = np.concatenate(list(groups.values()))
    edges = np.linspace(everything.min(), everything.max() or 1.0, 61)
    for place, ((name, values), colour) in enumerate(zip(groups.items(), colours, strict=True)):
        row = len(groups) - 1 - place
        figure.add_scatter(
            x=values,
            y=row + _stack(values, edges),
            mode="markers",
            marker={"color": translucent(colour, 0.75), "size": 7},
            hovertemplate=f"{name}: %{{x:.3f}}<extra></extra>",
        )
        figure.add_scatter(
            x=[values.mean()] * 2,
            y=[row - 0.08, row + 0.75],
            mode="lines",
            line={"color": colour, "width": 2},
            hovertemplate=f"{name}, mean: %{{x:.3f}}<extra></extra>",
        )
    figure.update_yaxes(
        tickvals=list(range(len(groups))), ticktext=list(groups)[::-1], range=[-0.2, len(groups) - 0.1], showgrid=False
    )
    figure.update_xaxes(showgrid=True)
    figure.update_layout(font={"color": palette.ink})
    return figure


def reliability(bins: Sequence[Mapping[str, float]], palette: Palette) -> go.Figure:
    """Draw how often the reward model is right against how sure it is; on the diagonal it is calibrated.

    `bins` hold confidence, accuracy and n.
    """
    figure = new_figure(300, x_title="confidence", y_title="share right")
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": palette.faint, "dash": "dot"}, hoverinfo="skip")
    filled = [one for one in bins if one["n"]]
    most = max((one["n"] for one in filled), default=1)
    figure.add_scatter(
        x=[one["confidence"] for one in filled],
        y=[one["accuracy"] for one in filled],
        mode="lines+markers",
        line={"color": palette.tuned, "width": 2},
        marker={"size": [6 + 12 * (one["n"] / most) ** 0.5 for one in filled]},
        customdata=[one["n"] for one in filled],
        hovertemplate="confidence %{x:.0%}: right in %{y:.0%} of %{customdata} pairs<extra></extra>",
    )
    figure.update_xaxes(range=[-0.03, 1.03], tickformat=".0%", showgrid=True)
    figure.update_yaxes(range=[-0.03, 1.03], tickformat=".0%")
    return figure


def _bar_label(name: str, share: float) -> str:
    """Return what fits a segment on a phone: name and share, the share alone, or nothing; the caption has them all."""
    return f"{name}<br>{share:.0%}" if share >= 0.18 else f"{share:.0%}" if share >= 0.06 else ""


def _stack(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    bins = np.digitize(values, edges)
    seen: dict[int, int] = {}
    places = []
    for one in bins:
        places.append(seen.get(int(one), 0))
        seen[int(one)] = places[-1] + 1
    step = min(0.08, 0.75 / max(seen.values()))
    return np.array(places) * step


def cut(text: str, limit: int = 60) -> str:
    """Return text in one line, cut to `limit` letters, for what escapes it itself."""
    text = one_line(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def clip(text: str, limit: int = 60) -> str:
    """Return text cut to `limit` letters for labels and hovers, where neither HTML nor Plotly's `%{…}` acts."""
    short = cut(text, limit)
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("%{", "%\u200b{")
