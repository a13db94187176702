"""Finding the weights with the fewest errors, exactly."""
