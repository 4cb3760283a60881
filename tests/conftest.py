"""The browser, one for all tests."""

from support.browsing import browser

__all__ = ["browser"]
