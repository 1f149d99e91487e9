"""The sides of the benchmark of views: the same spans for each, and how long each takes to show them."""
