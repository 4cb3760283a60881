"""Scenarios, the predictions they lead to, and the records computed from them."""
