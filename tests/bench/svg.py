"""Charts as SVG, a few kilobytes of text each: no library is needed for a line and an axis.

matplotlib would bring 200 MB of packages and figures that no diff can show.
"""

import math
from html import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 130, 36, 48
COLOURS = {"chat": "#0b6e4f", "nchan": "#c1440e", "bare": "#3a5a9b"}
OTHER_COLOURS = ("#0b6e4f", "#c1440e", "#3a5a9b", "#7a4a9b")


def si(v):
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if abs(v) >= unit:
            return f"{v / unit:g}{name}"
    return f"{v:g}"


class Axis:
    """Logarithmic, from and to a power of ten or its double or five-fold."""

    def __init__(self, values, start, end):
        values = [v for v in values if v > 0] or [1, 10]
        self.low = self.below(min(values))
        self.high = max(self.above(max(values)), 2 * self.low)
        self.start, self.end = start, end

    @staticmethod
    def steps(v):
        base = 10 ** math.floor(math.log10(v))
        return [base * k for k in (1, 2, 5, 10)]

    def below(self, v):
        return max(x for x in self.steps(v) if x <= v * 1.0001)

    def above(self, v):
        return min(x for x in self.steps(v) if x >= v * 0.9999)

    def at(self, v):
        share = math.log(max(v, self.low) / self.low) / math.log(self.high / self.low)
        return self.start + (self.end - self.start) * share

    def ticks(self):
        marks, v = [], 10 ** math.floor(math.log10(self.low))
        while v <= self.high * 1.0001:
            marks += [v * k for k in ((1, 2, 5) if self.high / self.low < 200 else (1,))
                      if self.low * 0.9999 <= v * k <= self.high * 1.0001]
            v *= 10
        return marks


def chart(title, x_name, y_name, series):
    """series: [(name, colour, [(x, y), ...])]. Returns the SVG's text."""
    points = [p for _, _, some in series for p in some]
    x = Axis([p[0] for p in points], LEFT, WIDTH - RIGHT)
    y = Axis([p[1] for p in points], HEIGHT - BOTTOM, TOP)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
           f'font-size="12"><rect width="100%" height="100%" fill="white"/>',
           f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>']
    for v in x.ticks():
        out.append(f'<path d="M{x.at(v):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>'
                   f'<text x="{x.at(v):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{si(v)}</text>')
    for v in y.ticks():
        out.append(f'<path d="M{LEFT} {y.at(v):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{y.at(v) + 4:.1f}" text-anchor="end">{si(v)}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_name)}</text>'
               f'<text transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">'
               f'{escape(y_name)}</text>')
    for i, (name, colour, some) in enumerate(series):
        some = sorted(p for p in some if p[0] > 0 and p[1] > 0)
        line = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in some)
        dots = "".join(f'<circle cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="3"/>' for a, b in some)
        out.append(f'<g fill="{colour}" stroke="none"><polyline points="{line}" fill="none" stroke="{colour}" '
                   f'stroke-width="1.5" stroke-opacity="0.6"/>{dots}'
                   f'<text x="{WIDTH - RIGHT + 10}" y="{TOP + 14 + 18 * i}">{escape(name)}</text></g>')
    return "\n".join(out) + "\n</svg>\n"
