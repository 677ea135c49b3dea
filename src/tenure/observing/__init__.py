"""What can be measured of a deployment, and who measures it."""
