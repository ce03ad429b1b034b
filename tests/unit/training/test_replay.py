"""The order of an epoch, and its draw from the replay pool."""

from gradual.training.replay import epoch_order, replay_size


def test_each_epoch_has_every_selected_fact_and_its_own_draw_of_replayed_ones():
    epochs = [epoch_order(30, 100, 0.2, epoch, seed=3) for epoch in range(5)]
    for rows in epochs:
        assert len(rows) == len(set(rows)) == 30 + replay_size(100, 0.2) == 50
        assert set(range(30)) <= set(rows)
    drawn = [frozenset(row for row in rows if row >= 30) for rows in epochs]
    assert len(set(drawn)) == 5
    assert len({tuple(rows) for rows in epochs}) == 5
    assert epochs == [epoch_order(30, 100, 0.2, epoch, seed=3) for epoch in range(5)]
    assert epochs[0] != epoch_order(30, 100, 0.2, 0, seed=4)
    assert sorted(epoch_order(30, 0, 0.0, 0, seed=3)) == list(range(30))
