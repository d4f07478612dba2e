"""draw: the figures of a benchmark as horizontal bars in an SVG. Used by run; no library.

Each shape has its own scale, the fastest of its bars being the whole width: figures of two shapes say nothing of each other.
"""
import xml.sax.saxutils

LEFT, WIDTH, RIGHT = 300, 420, 90
BAR, GAP, TOP = 14, 14, 56
COLOURS = (("postern", "#1f6f8b"), ("peer", "#c97b3c"), ("ceiling", "#b9bec4"))


def text(x, y, what, anchor="start", extra=""):
    return '<text x="%d" y="%d" text-anchor="%s"%s>%s</text>' % (x, y, anchor, extra, xml.sax.saxutils.escape(what))


def legend(names):
    out, x = [], LEFT
    for who, colour in COLOURS:
        if who in names:
            out.append('<rect x="%d" y="32" width="10" height="10" fill="%s"/>' % (x, colour))
            out.append(text(x + 15, 41, names[who]))
            x += 30 + 7 * len(names[who])
    return out


def bars(rows):
    """-> elements, height"""
    out, y = [], TOP
    for title, figures in rows:
        most = max(figures.values()) or 1
        there = [(who, colour) for who, colour in COLOURS if who in figures]
        out.append(text(LEFT - 10, y + len(there) * BAR // 2 + 4, title, "end"))
        for who, colour in there:
            width = max(1, round(WIDTH * figures[who] / most))
            out.append('<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>' % (LEFT, y, width, BAR - 2, colour))
            out.append(text(LEFT + width + 5, y + BAR - 4, "{:,.0f}".format(figures[who]), extra=' font-size="11"'))
            y += BAR
        y += GAP
    return out, y


def draw(path, rows, peer):
    """rows: [(title, {who: messages a second})], who of postern, peer, ceiling. The file is written anew."""
    there = {who for _, figures in rows for who in figures}
    names = {who: name for who, name in (("postern", "Postern"), ("peer", peer), ("ceiling", "load and sink alone")) if who in there}
    body, height = bars(rows)
    with open(path, "w", encoding="utf-8") as f:
        f.write('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#222">\n' % (
                LEFT + WIDTH + RIGHT, height))
        f.write('<rect width="100%" height="100%" fill="#fff"/>\n')
        f.write(text(LEFT, 20, "Messages a second, each bar relative to the longest of its shape", extra=' font-weight="bold"') + "\n")
        f.write("\n".join(legend(names) + body) + "\n</svg>\n")
