"""The roles of a fact in a run. A run trains on it in every epoch, or may replay it."""

TRAIN, REPLAY = "train", "replay"
