"""Figures for people."""

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
_BLOCKS = "▁▂▃▄▅▆▇█"


def count(number: float) -> str:
    """A number, with one place after the point where it is small and not whole."""
    return f"{number:.1f}" if number < 10 and number % 1 else f"{round(number):,}"


def size(number: float) -> str:
    """A number of bytes."""
    unit = 0
    while number >= 1000 and unit < len(_SIZES) - 1:
        number, unit = number / 1024, unit + 1
    return f"{number:.1f} {_SIZES[unit]}" if unit and number < 100 else f"{number:.0f} {_SIZES[unit]}"


def seconds(duration: float | None) -> str:
    """A duration."""
    if duration is None:
        return "-"
    factor, unit = (1.0, "s") if duration >= 1 else (1e3, "ms") if duration >= 1e-3 else (1e6, "µs")
    value = duration * factor
    return f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"


def percent(part: float | None) -> str:
    """A part of a whole."""
    return "-" if part is None else f"{100 * part:.1f} %"


def ago(duration: float) -> str:
    """For how long something has been, in the unit that fits."""
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if duration >= 2 * length:
            return f"{duration / length:.0f} {unit}"
    return f"{duration:.0f} s"


def sparkline(values: list[float], width: int) -> str:
    """The last values as a row of blocks, each as high as its value."""
    shown = values[-width:]
    most = max(shown, default=0.0)
    return "".join(_BLOCKS[round(value / most * (len(_BLOCKS) - 1))] if most else _BLOCKS[0] for value in shown)
