"""What the models of all tasks are made of."""
