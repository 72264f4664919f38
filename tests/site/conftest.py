"""What the tests of sites share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.site.serving import Serving

Serve = Callable[..., Serving]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """A function that serves a small site; its arguments are keys of [site], and ``more`` other tables."""

    def make(more: dict[str, Any] | None = None, **site: Any) -> Serving:
        (tmp_path / "root").mkdir(exist_ok=True)
        serving = Serving(tmp_path / "root", site, more or {})
        for name in ("index.html", "page.html", "app.js", "app.3f9a1c2b.js", "secret/index.html", "secret/plan.html"):
            serving.write(name)
        return serving

    return make
