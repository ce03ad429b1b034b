"""The roles that a fact can have in a run: it is trained on in every epoch, or may be replayed."""

TRAIN, REPLAY = "train", "replay"
