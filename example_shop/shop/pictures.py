"""Product pictures, drawn by hand as SVG and painted by code: a kind's drawing, a colour, a variation.

A drawing (drawings/KIND.svg) is a fragment of SVG on a 400 x 400 sheet with names of paints where colours
would be: $main, $light, $shade and $deep are mixed from the product's colour, $trim is wood, brass or iron.
What lies in its <g id="body"> takes a pattern where it says $glazed (pottery, enamel) or $woven (cloth).
"""

from functools import cache, lru_cache
from pathlib import Path
from string import Template

DRAWINGS = Path(__file__).parent / "drawings"

COLOURS = {
    "chalk": "#f2ede3",
    "oat": "#ddcbac",
    "ochre": "#d6a044",
    "blush": "#dfa998",
    "clay": "#c4724f",
    "rust": "#a84d31",
    "berry": "#8b3a52",
    "sage": "#a3b396",
    "moss": "#70804f",
    "pine": "#33594a",
    "mist": "#a8bfca",
    "fjord": "#44708f",
    "ink": "#2c3d5a",
    "charcoal": "#44474b",
    "birch": "#dcc095",
    "walnut": "#7b5338",
}
BACKDROPS = ["#f1ebe1", "#e7edee", "#ebeee4", "#f4e9e3"]
TRIMS = ["#c69c6d", "#c9a24b", "#3a3b3d"]  # beech, brass, iron
GLAZES = ["", "dipped", "", "banded", "speckled", "dotted"]
WEAVES = ["", "striped", "ribbed", "checked", "dotted", "zigzag"]

SHEET = Template(
    """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400">
<defs>
<radialGradient id="room" cx=".42" cy=".3" r=".85"><stop stop-color="$lit"/>
<stop offset="1" stop-color="$wall"/></radialGradient>
<linearGradient id="main" x2="1" y2=".4"><stop stop-color="$light"/><stop offset=".45" stop-color="$flat"/>
<stop offset="1" stop-color="$shade"/></linearGradient>
<linearGradient id="trim" x2="1" y2=".4"><stop stop-color="$trim_light"/>
<stop offset="1" stop-color="$trim_flat"/></linearGradient>
<linearGradient id="steel" x2="1" y2=".3"><stop stop-color="#eef0f0"/><stop offset=".5" stop-color="#c9cdcf"/>
<stop offset="1" stop-color="#a5abaf"/></linearGradient>
<radialGradient id="shadow"><stop stop-color="$floor" stop-opacity=".55"/><stop offset="1" stop-color="$floor"
stop-opacity="0"/></radialGradient>
$pattern</defs>
<rect width="400" height="400" fill="url(#room)"/>
$drawing</svg>
"""
)
PATTERNED = '<rect width="400" height="400" fill="url(#pattern)" mask="url(#inside)"/>'
PATTERN = Template(
    '<mask id="inside" mask-type="alpha"><use href="#body"/></mask>\n'
    '<pattern id="pattern" width="$width" height="$height" patternUnits="userSpaceOnUse">$motif</pattern>\n'
)
MOTIFS = {  # width, height, what repeats
    "dipped": (400, 400, '<path d="M0 262q50-9 100-3t100 1 100-4 100 5v140H0Z" fill="$pale" opacity=".75"/>'),
    "banded": (400, 64, '<path d="M0 12h400v9H0zM0 27h400v3H0z" fill="$pale" opacity=".7"/>'),
    "speckled": (52, 46, '<path d="M6 9h1m19 22h0m15-16h2M15 41h1m30-3h0" $stipple/>'),
    "dotted": (
        28,
        28,
        '<path d="M4 7a3 3 0 0 1 6 0 3 3 0 0 1-6 0m14 14a3 3 0 0 1 6 0 3 3 0 0 1-6 0" fill="$pale"/>',
    ),
    "striped": (26, 26, '<path d="M0 4h26v8H0z" fill="$pale" opacity=".6"/>'),
    "ribbed": (9, 9, '<path d="M0 0h2v9H0z" fill="$deep" opacity=".2"/>'),
    "checked": (40, 40, '<path d="M0 0h40v14H0zM0 0h14v40H0z" fill="$pale" opacity=".35"/>'),
    "zigzag": (32, 26, '<path d="m-4 16 12-9 16 9 16-9" fill="none" stroke="$pale" stroke-width="4"/>'),
}


@lru_cache(maxsize=4096)
def draw(kind: str, colour: str, variation: int) -> str:
    """One picture, always the same for the same three; LookupError for a kind or colour there is none of."""
    paints = _paints(COLOURS[colour], variation)
    drawing = _drawing(kind)
    patterns = WEAVES if "$woven" in drawing.template else GLAZES
    motif = patterns[variation % len(patterns)]
    patterned = PATTERNED if motif else ""
    return SHEET.substitute(
        paints,
        pattern=_pattern(motif, paints) if motif else "",
        drawing=drawing.substitute(paints, glazed=patterned, woven=patterned),
    )


@cache
def _drawing(kind: str) -> Template:
    path = DRAWINGS / f"{kind}.svg"
    if not path.is_file():
        raise LookupError(f"there is no drawing of {kind!r}")
    return Template(path.read_text(encoding="utf-8"))


def _pattern(motif: str, paints: dict[str, str]) -> str:
    width, height, repeated = MOTIFS[motif]
    return PATTERN.substitute(width=width, height=height, motif=Template(repeated).substitute(paints))


def _paints(flat: str, variation: int) -> dict[str, str]:
    wall = BACKDROPS[variation % len(BACKDROPS)]
    trim = TRIMS[variation // 4 % len(TRIMS)]
    return {
        "main": "url(#main)",
        "flat": flat,
        "light": mix(flat, "#ffffff", 0.22),
        "pale": mix(flat, "#ffffff", 0.62),
        "shade": mix(flat, "#1e1a24", 0.2),
        "deep": mix(flat, "#1e1a24", 0.45),
        "trim": "url(#trim)",
        "trim_light": mix(trim, "#ffffff", 0.2),
        "trim_flat": trim,
        "trim_deep": mix(trim, "#1e1a24", 0.35),
        "steel": "url(#steel)",
        "shadow": "url(#shadow)",
        "wall": wall,
        "lit": mix(wall, "#ffffff", 0.55),
        "stipple": f'stroke="{mix(flat, "#1e1a24", 0.3)}" stroke-width="3" stroke-linecap="round"',
        "floor": mix(wall, "#2a2233", 0.6),
    }


def mix(colour: str, other: str, share: float) -> str:
    """This share of the other colour in the first: mix("#000000", "#ffffff", 0.5) is "#808080"."""
    channels = zip(bytes.fromhex(colour[1:]), bytes.fromhex(other[1:]), strict=True)
    return "#" + bytes(round(a + (b - a) * share) for a, b in channels).hex()
