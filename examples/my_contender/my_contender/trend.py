"""A contender in twenty lines: hold an instrument while it is above its own average."""

from titanflow.core.contender.protocol import Opinion, View, lean


class Trend:
    """Buys above the simple average of the last *window* closes and sells below it."""

    def __init__(self, window: str = "50") -> None:
        self.average = f"sma_{int(window)}"
        self.features = (self.average,)

    def decide(self, view: View) -> Opinion | None:
        """Lean towards the side of the average that the close is on."""
        if not view.warm:
            return None
        average = view[self.average]
        gap = view.close / average - 1
        return lean(gap, parts={"close": (view.close, gap)}, text=f"{gap:+.1%} from the average")
