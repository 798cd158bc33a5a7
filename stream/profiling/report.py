"""profile.html: one file with tables and plots that opens from disk without a network."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from stream.profiling import roofline
from stream.profiling.results import GpuTime, Load, Profile, Roofline

GREY, BLUE, ORANGE, GREEN, RED, VIOLET = "#7d8590", "#3b82f6", "#f59e0b", "#10b981", "#ef4444", "#8b5cf6"
COLOURS = (BLUE, ORANGE, GREEN, RED, VIOLET, GREY)
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --weak: #7d8590; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
p.weak, td.weak, figcaption { color: var(--weak); }
.figures { display: flex; flex-wrap: wrap; gap: 1rem 3rem; margin: 1.4rem 0; }
.figures b { display: block; font-size: 1.9rem; font-weight: 600; }
.wide { overflow-x: auto; } table { border-collapse: collapse; } caption { text-align: left; color: var(--weak); }
table { min-width: 60%; }
th, td { padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); text-align: left; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.bar { background: #3b82f6; height: .7rem; border-radius: 2px; }
.plots { margin-top: 1.2rem; display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem; }
figure { margin: 0; } svg { width: 100%; height: auto; }
"""


_ROOFLINE = (
    "Each dot is a call made alone: the higher, the more arithmetic a second; the further right, the more of it for "
    "each byte. The line above is the most this machine gave, by its memory on the slope and by its arithmetic on the "
    "level; the percentage is how near a call comes to it. Other work on the machine changes both."
)


def page(found: Profile) -> str:
    """The whole page."""
    width, height = found.size
    held = [load for load in found.loads if load.held]
    title = f"{found.profile}, {width} × {height}"
    figures = [
        (f"{found.frames_s:.1f}", f"frames a second, {found.feeds} feed(s) with all they can"),
        (
            str(found.most_feeds) + ("" if any(not load.held for load in found.loads) else " or more"),
            f"feeds of {found.rate:.3g} frames a second held in real time",
        ),
    ]
    if held:
        figures.append(
            (f"{held[-1].p95_s:.2f} s", f"p95 from a chunk's last frame to its events, {held[-1].feeds} feed(s)")
        )
    if found.joules_a_frame is not None:
        figures.append((f"{found.joules_a_frame:.2f} J", "a frame, all GPUs"))
    parts = [
        f"<h1>{_t(title)}</h1>",
        f'<p class="weak">{_t(found.source)} · {_t(found.made_at)} · {_t(found.machine.get("processor", ""))} · GPU: '
        f"{_t(found.machine.get('gpu', ''))}</p>",
        '<div class="figures">' + "".join(f"<div><b>{_t(n)}</b>{_t(words)}</div>" for n, words in figures) + "</div>",
        _stages(found),
        _loads(found.loads),
        '<h2>Through time</h2><div class="plots">' + "".join(_timelines(found)) + "</div>",
        _gpu(found.gpu),
        _roofline(found.roofline),
        _table("Rows of shared batches", ("engine", "rows: times"), [
            (engine, ", ".join(f"{n}: {c}" for n, c in sorted(sizes.items(), key=lambda one: int(one[0]))))
            for engine, sizes in found.batches.items()
        ]),
        _table("Not measured here", ("what, and why",), [(line,) for line in found.missing]),
        _table("Machine", ("", ""), [*found.machine.items(), ("engines", "; ".join(found.engines))]),
    ]  # fmt: skip
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>strefer profile: {_t(title)}</title><style>{_STYLE}</style><main>{''.join(parts)}</main></html>\n"
    )


def _stages(found: Profile) -> str:
    rows = "".join(
        f'<tr><td>{_t(s.name)}<td class="n">{s.calls:,}<td class="n">{s.p50_us:,.0f}<td class="n">{s.p95_us:,.0f}'
        f'<td class="n">{s.p99_us:,.0f}<td class="n">{s.share:.1%}<td style="width:30%"><div class="bar" '
        f'style="width:{s.share:.1%}"></div>'
        for s in found.stages
    )
    heads = "".join(f'<th class="n">{h}' for h in ("calls", "p50 µs", "p95 µs", "p99 µs", "share"))
    return (
        '<h2>Stages</h2><div class="wide"><table><caption>One call is one frame, or one look of the detector. Stages '
        f"run side by side: shares are of their sum. Every call: stages.trace.json.gz, in ui.perfetto.dev</caption>"
        f"<tr><th>stage{heads}<th>{rows}</table></div>"
    )


def _loads(loads: Sequence[Load]) -> str:
    if not loads:
        return ""
    table = _table(
        "Offered loads: feeds that send as cameras do",
        ("feeds", "chunks due", "done", "waiting", "frames/s", "p50 s", "p95 s", "p99 s", "held"),
        [
            (str(x.feeds), str(x.due), str(x.done), str(x.waiting), f"{x.frames_s:.1f}", f"{x.p50_s:.2f}",
             f"{x.p95_s:.2f}", f"{x.p99_s:.2f}", "yes" if x.held else "no")
            for x in loads
        ],
    )  # fmt: skip
    return table + '<div class="plots">' + _latency(loads) + _offered(loads) + "</div>"


def _latency(loads: Sequence[Load]) -> str:
    figure, axes = _figure("seconds from a chunk's last frame to its events", "chunks")
    for load, colour in zip(loads, COLOURS, strict=False):
        axes.hist(load.latency_s, bins=30, histtype="step", color=colour, linewidth=1.6, label=f"{load.feeds} feed(s)")
    axes.legend(frameon=False, labelcolor=GREY)
    return _svg(figure, "Latency by load")


def _offered(loads: Sequence[Load]) -> str:
    figure, axes = _figure("feeds offered", "chunks done of those due")
    axes.plot([x.feeds for x in loads], [x.done / max(1, x.due) for x in loads], "o-", color=BLUE)
    axes.axhline(1.0, color=GREY, linewidth=0.8, linestyle=":")
    axes.set_ylim(0, 1.2)
    axes.set_xticks([x.feeds for x in loads])
    return _svg(figure, "Throughput against offered load")


def _timelines(found: Profile) -> list[str]:
    at = [m.at_s for m in found.moments]
    lines: list[tuple[str, str, list[tuple[str, Sequence[float | None], str]]]] = [
        ("Memory", "MB", [("resident", [m.resident_mb for m in found.moments], BLUE),
                          ("GPU", [m.gpu_mb for m in found.moments], ORANGE)]),
        ("Use", "cores, or share", [("processor, cores", [m.cores for m in found.moments], BLUE),
                                    ("SM", [m.sm for m in found.moments], ORANGE),
                                    ("decoder", [m.decoder for m in found.moments], GREEN)]),
        ("Power", "watts", [("GPU", [m.watts for m in found.moments], ORANGE)]),
    ]  # fmt: skip
    drawn = []
    for title, unit, series in lines:
        known = [(name, values, colour) for name, values, colour in series if None not in values and values]
        if not known:
            continue
        figure, axes = _figure("seconds of the saturated load", unit)
        for name, values, colour in known:
            axes.plot(at, values, color=colour, linewidth=1.4, label=name)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, labelcolor=GREY)
        drawn.append(_svg(figure, title))
    return drawn


def _gpu(gpu: GpuTime | None) -> str:
    if gpu is None:
        return ""
    frames = max(1, gpu.frames)
    rows = [
        ("busy", f"{gpu.busy:.1%} of {gpu.traced_us / 1e6:.2f} s"),
        ("gaps between its work", f"{gpu.gaps:,}; p50 {gpu.gap_p50_us:,.1f} µs, p99 {gpu.gap_p99_us:,.1f} µs"),
        ("to the device", f"{gpu.to_device_bytes / frames:,.0f} bytes a frame"),
        ("to the host", f"{gpu.to_host_bytes / frames:,.0f} bytes a frame"),
    ]
    kernels = [(k.name, f"{k.calls:,}", f"{k.total_us:,.0f}", f"{k.share:.1%}") for k in gpu.kernels]
    return _table("GPU, traced", ("", ""), rows) + _table("Its kernels", ("kernel", "calls", "µs", "share"), kernels)


def _roofline(found: Roofline | None) -> str:
    if found is None or not found.points:
        return ""
    roofs = "; ".join(map(roofline.told, found.roofs))
    table = _table("Rooflines", roofline.HEADS, list(map(roofline.cells, found.points)))
    return f'{table}<p class="weak">{_ROOFLINE} {_t(roofs)}.</p>' + _drawn(found)


def _drawn(found: Roofline) -> str:
    """Points under their roofs, but for those without arithmetic, which a logarithm has no place for."""
    points = [p for p in found.points if p.flops]
    if not points:
        return ""
    figure, axes = _figure("FLOP/byte", "GFLOP/s", size=(9.2, 4.0))
    spread = [p.intensity for p in points]
    ridges = [max(roof.gflops.values()) / roof.gb_s for roof in found.roofs]
    at = np.geomspace(min(spread) / 3, 3 * max(*spread, *ridges), 200)
    for roof, line in zip(found.roofs, ("-", "--"), strict=False):
        used = {p.dtype for p in found.points if p.device == roof.device} | {"fp32"}
        for i, (kind, peak) in enumerate((k, v) for k, v in roof.gflops.items() if k in used):
            axes.plot(at, np.minimum(peak, at * roof.gb_s), line, color=GREY, linewidth=1.2)
            label, place = f"{roof.device} {kind}", (at[-1 - 25 * i], peak)  # beside each other: peaks may be alike
            axes.annotate(label, place, color=GREY, ha="right", va="bottom", fontsize=8)
        axes.annotate(f"{roof.gb_s:,.0f} GB/s", (at[30], at[30] * roof.gb_s), color=GREY, ha="right", fontsize=8)
    for i, p in enumerate(points):
        marker = ("o", "D", "^", "v")[i // len(COLOURS) % 4] if p.kind == "engine" else "s"
        axes.plot(p.intensity, p.gflops, marker, color=COLOURS[i % len(COLOURS)], label=f"{p.name} ({p.share:.0%})")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(y=0.1)
    figure.legend(loc="outside right center", frameon=False, labelcolor=GREY, fontsize=8)
    return _svg(figure, "Rooflines: GFLOP/s by FLOP/byte")


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    top = "".join(f"<th>{_t(h)}" for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{_t(cell)}" for cell in row) for row in rows)
    return f'<h2>{_t(title)}</h2><div class="wide"><table><tr>{top}{body}</table></div>'


def _figure(x: str, y: str, size: tuple[float, float] = (5.2, 2.9)) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x, color=GREY)
    axes.set_ylabel(y, color=GREY)
    axes.tick_params(colors=GREY, which="both")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    return figure, axes


def _svg(figure: Any, title: str) -> str:
    import matplotlib

    made = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(made, format="svg", transparent=True, metadata={"Date": None})
    text = made.getvalue()
    label = _t(title)
    return (
        f'<figure role="img" aria-label="{label}"><figcaption>{label}</figcaption>{text[text.index("<svg") :]}</figure>'
    )


def _t(text: str) -> str:
    return html.escape(text)
