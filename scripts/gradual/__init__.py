"""The library behind the scripts: the study of partially mastered knowledge, by concept. No Snakemake in it."""
