"""Parts of a network that have parameters, and the statistics that training keeps about them."""
