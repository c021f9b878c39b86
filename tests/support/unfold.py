"""A running shop with django-unfold beside Django's own admin."""

import os
import subprocess
import sys

from example_shop.stack.running import RunningShop, free_port
from example_shop.stack.shop import HOST, shop_programs


def with_unfold(shop: RunningShop) -> str:
    """Serve the same shop with django-unfold beside it; its address."""
    port = free_port()
    settings = {"DJANGO_SETTINGS_MODULE": "tests.shop.unfold_settings"}
    [web] = [each for each in shop_programs(shop.folder, port) if each.name == "web"]
    web.environment |= {**shop.environment, **settings}
    web.log = web.log.with_name("unfold.log")
    subprocess.run(
        [sys.executable, "-m", "django", "collectstatic", "--no-input", "--verbosity", "0"],
        env={**os.environ, **web.environment},
        check=True,
    )
    shop.supervisor.start(web)
    return f"http://{HOST}:{port}"
