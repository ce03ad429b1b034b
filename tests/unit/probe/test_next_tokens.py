"""The next tokens do not depend on how a processor rounds: near a border they are chosen in double precision."""

import numpy as np
import pytest

from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.answers import Asking, Decoding
from gradual.probe.engines.double import in_double
from gradual.probe.engines.next_tokens import BORDER, Draws, Greedy
from gradual.probe.engines.transformers import TransformersEngine
from tiny import base_model

ROWS, VOCABULARY = 400, 300


def logits(generator):
    """Logits in double precision. In each row, many are nearly the likeliest one."""
    import torch

    exact = torch.randn(ROWS, VOCABULARY, generator=generator, dtype=torch.float64)
    exact[:, ::7] = 3 + 1e-5 * exact[:, ::7]
    return exact


def rounded(exact, generator):
    """The logits as a processor may have them: each is moved by less than the border."""
    import torch

    moved = 2 * torch.rand(exact.shape, generator=generator, dtype=torch.float64) - 1
    return (exact + 0.9 * BORDER * exact.abs().max() * moved).float()


def chosen(choose, exact):
    """The choices by two processors, with the exact logits at hand and without them."""
    import torch

    two = [rounded(exact, torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    return [[choose(each, at_hand) for each in two] for at_hand in (lambda rows: exact[rows], None)]


def test_greedy_tokens_are_those_of_exact_logits():
    import torch

    exact = logits(torch.Generator().manual_seed(0))
    with_exact, without = chosen(lambda each, at_hand: Greedy().next(each, 0, at_hand)[0], exact)
    assert all(torch.equal(tokens, exact.argmax(-1)) for tokens in with_exact)
    assert not torch.equal(*without)


@pytest.mark.parametrize(("temperature", "top_k"), [(0.5, 40), (1.0, 0), (0.7, VOCABULARY), (1.0, 1)])
def test_samples_are_those_of_exact_logits(temperature, top_k):
    import torch

    generator = torch.Generator().manual_seed(0)
    exact, samples = logits(generator), 16
    uniforms = torch.rand(ROWS * samples, 1, generator=generator, dtype=torch.float64)
    decoding = Decoding(1, (), samples=samples, temperature=temperature, top_k=top_k)

    def drawn(each, at_hand):
        return torch.stack([torch.as_tensor(part) for part in Draws(uniforms, decoding).next(each, 0, at_hand)])

    with_exact, without = chosen(drawn, exact)
    truth = drawn(exact, None)
    assert all(torch.equal(found, truth) for found in with_exact)
    assert without[0].shape != without[1].shape or not torch.equal(*without)


def test_exact_logits_are_computed_only_where_rounding_could_decide():
    import torch

    asked = []

    def at_hand(rows):
        asked.extend(rows.tolist())
        return exact[rows]

    exact = torch.full((4, VOCABULARY), -4.0, dtype=torch.float64)
    exact[:, 5], exact[:, 9] = 4, torch.tensor([3.0, 4 - 1e-6, 4.0, -4.0])
    assert Greedy().next(exact.float(), 0, at_hand)[0].tolist() == [5, 5, 5, 5] and asked == [1, 2]
    asked.clear()
    share = torch.softmax(exact[0], -1)[5]  # the draw of row 0 ends there
    uniforms = torch.tensor([[share + 1e-7], [0.2], [0.8], [0.3]], dtype=torch.float64)
    tokens, *_ = Draws(uniforms, Decoding(1, (), samples=1, temperature=1.0)).next(exact.float(), 0, at_hand)
    assert asked == [0, 1, 2] and tokens[0] == 9 and tokens[3] == 5


@pytest.mark.parametrize(("temperature", "top_k"), [(0.5, 40), (2.0, 40), (1.0, 0)])
@pytest.mark.parametrize("end", [0, 1, 5])
def test_a_sample_is_near_an_end_just_as_far_as_rounding_could_move_it(end, temperature, top_k):
    import torch

    logits = torch.linspace(6, -6, VOCABULARY, dtype=torch.float64)[None]
    border = 6 * BORDER
    kept = logits[:, : top_k or VOCABULARY]

    def cumulative(moved):
        return float(torch.softmax(moved / temperature, -1)[0, : end + 1].sum())

    up, down = kept.clone(), kept.clone()
    up[:, : end + 1] += border
    up[:, end + 1 :] -= border
    down[:, : end + 1] -= border
    down[:, end + 1 :] += border
    share, least, most = (cumulative(moved) for moved in (kept, down, up))
    decoding = Decoding(1, (), samples=1, temperature=temperature, top_k=top_k)
    for number, near in ((0.99, True), (1.05, False)):
        for far in (least, most):
            asked = []
            uniform = torch.tensor([[share + number * (far - share)]], dtype=torch.float64)
            Draws(uniform, decoding).next(
                logits.float(), 0, lambda rows, asked=asked: asked.append(rows) or logits[rows]
            )
            assert bool(asked) == near, (number, far)


def test_in_double_what_changes_a_float32_tensor_in_place_is_refused():
    import torch

    weight = torch.ones(3)
    with in_double():
        assert (torch.zeros(3) + weight).dtype == torch.float64
        fresh = torch.zeros(3)
        fresh += weight
        assert fresh.tolist() == [1, 1, 1] and fresh.dtype == torch.float64
        with pytest.raises(RuntimeError, match="changes a float32 tensor in place"):
            weight.mul_(2)
    assert weight.tolist() == [1, 1, 1]


def test_in_double_a_model_computes_in_double_precision_and_keeps_its_weights(tmp_path):
    import torch

    model = load_model(base_model(tmp_path), [], "float32").eval()
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.inference_mode():
        single = model(ids).logits
        with in_double():
            double = model(ids).logits
        assert torch.equal(model(ids).logits, single)
        model.double()
        again = model(ids).logits  # its norms compute in float32
    assert double.dtype == torch.float64 and single.dtype == torch.float32
    assert 0 < (double - again).abs().max() < 1e-5 and (double - single).abs().max() < 1e-4


@pytest.mark.parametrize(("dtype", "exact"), [("float32", True), ("bfloat16", False)])
def test_the_engine_is_exact_in_float32(dtype, exact, tmp_path, monkeypatch):
    from test_engine import groups

    handle, seen = base_model(tmp_path), []
    for kind in (Greedy, Draws):
        monkeypatch.setattr(kind, "next", spied(kind.next, seen))
    engine = TransformersEngine(load_model(handle, [], dtype), load_tokenizer(handle), True)
    decoding = Decoding(3, ("\n",), samples=2, temperature=0.7, top_k=20, repetition_penalty=1.2)
    assert [*engine.answer(groups(1)[:3], decoding, Asking(lambda _: True))]
    assert len(seen) > 3 and all(difference is None for difference in seen) != exact
    assert not exact or 0 < np.max(seen) < 1e-4


def spied(own, seen):
    """A choice that also notes how far the exact logits of all rows are from those it was given."""

    def choose(self, logits, step, exact):
        import torch

        found = exact and exact(torch.arange(len(logits)))
        seen.append(exact and float((found - logits).abs().max()))
        return own(self, logits, step, exact)

    return choose
