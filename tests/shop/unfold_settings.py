"""The example shop with django-unfold in place of Django's own admin templates."""

from example_shop.settings import *  # noqa: F403
from example_shop.settings import INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS = ["unfold", *INSTALLED_APPS]
# Its templates need inline scripts, which the shop's own policy forbids.
MIDDLEWARE = [path for path in MIDDLEWARE if not path.endswith("PageHeadersMiddleware")]
