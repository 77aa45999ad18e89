"""Models from elsewhere: a hub, a package index, or the model server of the fleet."""
