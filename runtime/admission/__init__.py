"""Who may ask a model next: limits of endpoints, the order of waiting calls, and places in a finite cache."""
