"""The shop, the visitor and the models of the serving tests."""

from tests.serving.conftest import fresh_process, placement, products, promote, trails, visitor  # noqa: F401
