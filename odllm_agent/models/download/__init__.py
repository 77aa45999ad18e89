"""Models from elsewhere: a hub, or the model server of the fleet."""
