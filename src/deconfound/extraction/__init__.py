"""From raw texts, images, recordings and videos to arrays, once, when data are imported or new rows are predicted."""
