"""Pictures made from the boards' facts: wires to external adapters; LEDs and reset buttons.

python docs/drawings.py     # writes the committed ones anew
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from nudge.boards.catalog import BOARDS
from nudge.boards.fpga import Fpga
from nudge.boards.toolchain.logic import SHOWN, led_ports

#: Folder of the committed pictures.
PICTURES = Path(__file__).with_name("pictures")

#: Signal of an adapter -> colour of its wire; True if the adapter drives the wire, False if the board does,
#: None for ground.
SIGNALS = {
    "TXD": ("#c2410c", True),
    "RXD": ("#15803d", False),
    "TCK": ("#7e22ce", True),
    "TMS": ("#1d4ed8", True),
    "TDI": ("#c2410c", True),
    "TDO": ("#15803d", False),
    "GND": ("#222222", None),
}
#: The pin of the serial line at the other end.
ENDS = {"TXD": "rx", "RXD": "tx"}
#: Voltage of the pins' standards.
LEVELS = {"LVCMOS33": "3.3 V levels"}
#: Word and fill of coloured LEDs; a plain one has the last.
COLOURS = {
    "r": ("red", "#dc2626"),
    "g": ("green", "#16a34a"),
    "b": ("blue", "#2563eb"),
    None: ("LED", "#f5b301"),
}

GREY, LINE = "#555555", "#888888"


class Picture:
    """An SVG on white, by its size, title and description."""

    def __init__(self, width: int, height: int, title: str, desc: str):
        size = {"width": str(width), "height": str(height), "viewBox": f"0 0 {width} {height}"}
        about = {
            "role": "img",
            "aria-labelledby": "title desc",
            "font-family": "sans-serif",
            "font-size": "14",
        }
        self.root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg"} | size | about)
        self.put("title", title, id="title")
        self.put("desc", desc, id="desc")
        self.box(0, 0, width, height, "#ffffff", "none")

    def put(self, tag: str, text: str | None = None, **attributes: object) -> None:
        """Append an element; `_` in the name of an attribute stands for `-`."""
        named = {name.replace("_", "-"): str(value) for name, value in attributes.items()}
        ElementTree.SubElement(self.root, tag, named).text = text

    def box(self, x: int, y: int, width: int, height: int, fill: str, stroke: str = LINE) -> None:
        """Append a rectangle with round corners."""
        self.put("rect", x=x, y=y, width=width, height=height, rx=6, fill=fill, stroke=stroke)

    def text(
        self, x: int, y: int, text: str, anchor: str = "start", fill: str = "#111111", **more: object
    ) -> None:
        """Append a line of text."""
        self.put("text", text, x=x, y=y, text_anchor=anchor, fill=fill, **more)

    def __str__(self) -> str:
        ElementTree.indent(self.root)
        return ElementTree.tostring(self.root, encoding="unicode") + "\n"


def with_pins(fpga: Fpga) -> Any:
    """Return a board's platform with all its pins."""
    platform = fpga.platform()
    platform.add_resources(fpga.resources)
    return platform


def ball(port: Any) -> str:
    """Return the FPGA's ball of a port of one line."""
    (pin,) = port.io.metadata
    return str(pin.name)


def adapters(fpga: Fpga) -> Iterator[list[tuple[str, str]]]:
    """Yield the wires of each adapter."""
    wires: list[tuple[str, str]] = []
    for signal, label in fpga.adapter:
        wires.append((signal, label))
        if signal == "GND":
            yield wires
            wires = []


def wiring(fpga: Fpga) -> str:
    """Return the picture of the wires from a board to its adapters."""
    uart, row, board, adapter, width = with_pins(fpga).request(*fpga.uart, dir="-"), 32, 270, 430, 620
    groups, balls = list(adapters(fpga)), {signal: ball(getattr(uart, end)) for signal, end in ENDS.items()}
    levels = LEVELS[uart.rx.io.metadata[0].attrs["IO_TYPE"]]
    height = sum(row * (len(wires) + 2) + 16 for wires in groups)
    at = {signal: f" ({pin} of the FPGA)" for signal, pin in balls.items()}
    said = "; ".join(
        f"the adapter's {signal} to the board's {label}{at.get(signal, '')}" for signal, label in fpga.adapter
    )
    name = fpga.what.partition(",")[0]
    out = Picture(width, height + 16, f"{name}: wires to an external adapter", f"{said}; {levels}")
    out.box(16, 16, board - 16, height - 16, "#e8f1ea")
    out.text(32, 40, name, font_weight="bold")
    top = 16
    for wires in groups:
        serial = "TXD" in dict(wires)
        out.box(adapter, top, width - adapter - 16, row * (len(wires) + 2), "#eef1f7")
        out.text(adapter + 16, top + 24, "Serial adapter" if serial else "JTAG adapter", font_weight="bold")
        out.text(
            adapter + 16,
            top + 42,
            f"{levels}, {fpga.baud / 1e6:g} Mbaud" if serial else levels,
            fill=GREY,
            font_size=12,
        )
        for n, (signal, label) in enumerate(wires):
            y, (colour, driven) = top + row * (n + 2), SIGNALS[signal]
            if signal in balls:
                out.text(
                    32, y + 5, f"FPGA {balls[signal]}, {'in' if driven else 'out'}", fill=GREY, font_size=12
                )
            out.text(board - 14, y + 5, label, "end")
            out.text(adapter + 16, y + 5, signal)
            out.put("line", x1=board, y1=y, x2=adapter, y2=y, stroke=colour, stroke_width=3)
            for x in (board, adapter):
                out.put("circle", cx=x, cy=y, r=5, fill="#ffffff", stroke=colour, stroke_width=2)
            if driven is not None:
                middle, tip = (board + adapter) // 2, -10 if driven else 10
                out.put("path", d=f"M{middle + tip} {y} l{-2 * tip} -8 v16 z", fill=colour)
        top += row * (len(wires) + 2) + 16
    return str(out)


def lights(fpga: Fpga) -> tuple[str, tuple[tuple[str, str, str], ...], str]:
    """Return a board's name; name, fill and ball of each signal's LED; the button's ball, or ""."""
    platform = with_pins(fpga)
    named = []
    for port in led_ports(fpga, platform):
        found = re.fullmatch(r"(?:rgb_)?led(?:_([rgb]))?_(\d+)(?:__([rgb]))?__io", port.io.name)
        assert found, port.io.name
        word, fill = COLOURS[found[1] or found[3]]
        numbered = word == "LED" or (found[3] and len(fpga.leds) > 1)
        named.append((f"{word} {found[2]}" if numbered else word, fill, ball(port)))
    button = ball(platform.request(*fpga.button, dir="-")) if fpga.button else ""
    return fpga.what.partition(",")[0], tuple(named), button


def leds() -> str:
    """Return the picture of the LEDs and buttons of all boards, a row for each kind of board."""
    rows = [each for each in dict.fromkeys(map(lights, BOARDS.values())) if each[1] or each[2]]
    first, column, row = 160, 70, 62
    said = []
    for name, named, button in rows:
        each = [f"{signal} {led[0]}" for signal, led in zip(SHOWN, named, strict=False)]
        said.append(f"{name}: {', '.join([*each, 'button 0 resets'] if button else each)}")
    width = first + column * (len(SHOWN) + 1) + 10
    out = Picture(width, 52 + row * len(rows), "LEDs and reset buttons of the boards", "; ".join(said))
    for n, signal in enumerate((*SHOWN, "reset")):
        out.text(first + column * n + column // 2, 30, signal, "middle", font_weight="bold", font_size=13)
    for k, (name, named, button) in enumerate(rows):
        y = 46 + row * k
        out.put("line", x1=16, y1=y, x2=width - 16, y2=y, stroke="#dddddd")
        out.text(16, y + 36, name)
        for n, (label, fill, pin) in enumerate(named):
            x = first + column * n + column // 2
            out.put("circle", cx=x, cy=y + 18, r=9, fill=fill, stroke=LINE)
            out.text(x, y + 41, label, "middle", font_size=12)
            out.text(x, y + 54, pin, "middle", GREY, font_size=11)
        if button:
            x = first + column * len(SHOWN) + column // 2
            out.box(x - 11, y + 7, 22, 22, "#eeeeee")
            out.put("circle", cx=x, cy=y + 18, r=6, fill="#444444")
            out.text(x, y + 41, "button 0", "middle", font_size=12)
            out.text(x, y + 54, button, "middle", GREY, font_size=11)
    return str(out)


def drawings() -> dict[str, str]:
    """Return each picture by its file name."""
    return {"leds.svg": leds()} | {
        f"wires-{name}.svg": wiring(fpga) for name, fpga in BOARDS.items() if fpga.adapter
    }


if __name__ == "__main__":
    for name, picture in drawings().items():
        (PICTURES / name).write_text(picture)
