"""Search for hyper-parameters on validation records."""
