"""The pictures that commands and runs leave: images in grids, animations, walks through the space of codes, and all that a
trained model draws."""
