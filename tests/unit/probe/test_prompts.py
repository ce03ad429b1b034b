import pytest

from gradual.data.facts import make_table
from gradual.ground.errors import InputError
from gradual.models.loading import load_tokenizer
from gradual.probe.prompts import ExemplarPool, PromptSettings, exemplars_of, plain, prompt_format
from tiny import base_model, facts


def rows(table):
    return list(table[table["split"] == "train"].itertuples(index=False))


def prompts_of(table, settings, split="train"):
    pool = ExemplarPool(table, split, "facts")
    return {
        (fact.fact_id, i): plain(exemplars_of(fact, i, pool, settings), fact.question)
        for fact in rows(table)
        for i in range(10)
    }


@pytest.mark.parametrize("exemplars", ["per_fact", "per_relation"])
def test_prompts_depend_on_the_seed_and_not_on_the_order_of_facts(exemplars):
    table = facts()
    settings = PromptSettings(7, 4, exemplars)
    assert prompts_of(table, settings) == prompts_of(table.sample(frac=1, random_state=1), settings)
    assert prompts_of(table, settings) != prompts_of(table, PromptSettings(8, 4, exemplars))


def test_a_prompt_is_the_same_today_as_when_this_test_was_written():
    fact = rows(facts())[0]
    pool = ExemplarPool(facts(), "train", "facts")
    shown = exemplars_of(fact, 3, pool, PromptSettings(42, 4, "per_fact"))
    assert plain(shown[:1], "Why?") == f"Q: {shown[0].question}\nA: {shown[0].answer}\nQ: Why?\nA:"
    assert [e.answer for e in shown] == GOLDEN


GOLDEN = ["thing 0", "thing 1", "thing 4", "thing 6"]


@pytest.mark.parametrize("exemplars", ["per_fact", "per_relation"])
def test_no_prompt_shows_the_probed_question_and_all_exemplars_are_distinct_and_of_the_relation(exemplars):
    table = facts()
    pool = ExemplarPool(table, "train", "facts")
    relation = table.set_index("fact_id")["relation"]
    for fact in rows(table):
        for i in range(10):
            shown = exemplars_of(fact, i, pool, PromptSettings(1, 4, exemplars))
            assert len({e.question for e in shown}) == 4
            assert fact.question not in {e.question for e in shown}
            assert {relation[e.fact_id] for e in shown} == {fact.relation}


def test_a_repeated_row_does_not_give_the_answer_away():
    row = {"split": "train", "relation": "r", "subject": "s", "answers": ["a"]}
    table = make_table([{**row, "question": q} for q in ("Same?", "Same?", "1?", "2?", "3?", "4?")])
    pool = ExemplarPool(table, "train", "facts")
    for fact in table.itertuples(index=False):
        shown = exemplars_of(fact, 0, pool, PromptSettings(0, 4, "per_fact"))
        assert fact.question not in {e.question for e in shown}


@pytest.mark.parametrize(
    "twin", ["same question", "SAME QUESTION?", "Same  question ?", "Same\u00a0question", "Same question?\u200b"]
)
@pytest.mark.parametrize("exemplars", ["per_fact", "per_relation"])
def test_the_probed_question_in_other_words_but_for_case_spaces_and_end_is_no_exemplar(twin, exemplars):
    row = {"split": "train", "relation": "r", "subject": "s", "answers": ["a"]}
    table = make_table([{**row, "question": q} for q in ("Same question?", twin, "1?", "2?", "3?", "4?")])
    pool = ExemplarPool(table, "train", "facts")
    for fact in table.itertuples(index=False):
        shown = {e.question for e in exemplars_of(fact, 0, pool, PromptSettings(0, 4, exemplars))}
        assert len(shown) == 4
        if fact.question in ("Same question?", twin):
            assert shown == {"1?", "2?", "3?", "4?"}
        else:
            assert not shown >= {"Same question?", twin}


def test_per_relation_shares_its_exemplars_among_the_facts():
    table = facts()
    pool = ExemplarPool(table, "dev", "facts")
    settings = PromptSettings(0, 4, "per_relation")
    same = [exemplars_of(f, 2, pool, settings) for f in rows(table) if f.relation == "r0"]
    assert all(shown == same[0] for shown in same)


def test_too_few_exemplars_is_a_clear_error():
    table = facts(per_split=4)
    with pytest.raises(InputError, match=r"relation 'r0' has 3 facts of split 'train'.*at least 4 exemplars"):
        fact = rows(table)[0]
        exemplars_of(fact, 0, ExemplarPool(table, "train", "facts"), PromptSettings(0, 4, "per_fact"))


def test_every_exemplar_of_a_barely_sufficient_pool_is_used():
    table = facts(per_split=5)
    fact = rows(table)[0]
    shown = exemplars_of(fact, 0, ExemplarPool(table, "train", "facts"), PromptSettings(0, 4, "per_fact"))
    assert len({e.fact_id for e in shown}) == 4


TEMPLATE = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}<assistant>"


@pytest.mark.parametrize("style", ["plain", "chat"])
def test_a_prompt_has_one_begin_of_text_token(style, tmp_path):
    tokenizer = load_tokenizer(base_model(tmp_path, "llama"))
    tokenizer.chat_template = TEMPLATE
    render, special = prompt_format(style, {}, tokenizer).prompt, style == "plain"
    table = facts()
    shown = exemplars_of(rows(table)[0], 0, ExemplarPool(table, "train", "f"), PromptSettings(0, 4, "per_fact"))
    ids = tokenizer(render(shown, "Why?"), add_special_tokens=special)["input_ids"]
    assert ids.count(tokenizer.bos_token_id) == 1
    assert ids[0] == tokenizer.bos_token_id


def test_chat_without_a_template_is_a_clear_error(tmp_path):
    with pytest.raises(InputError, match="has no chat template"):
        prompt_format("chat", {}, load_tokenizer(base_model(tmp_path)))
