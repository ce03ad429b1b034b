"""The plan of a study: what its jobs ask, train, take and leave behind, before any of them runs.

Counts of facts and prompts follow from the data and the config. Tokens follow from the model's own tokenizer where its
files are here, else from measured rates; which facts are sampled and trained on, from what is measured so far, else from
the paper's tables; hours from stated throughputs. The plan says which it used.
"""
