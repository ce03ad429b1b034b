"""Write the provenance of a study's results: config, code, data, models, packages, hardware and jobs."""

import argparse
import json
from pathlib import Path

from gradual.ground.files import digest, read_json, write_json
from gradual.study.result_files import filled
from gradual.workflow.provenance import git_state, hardware, locks, packages, timings
from gradual.workflow.starting import report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=json.loads, required=True, help="the config of the study, as JSON")
    parser.add_argument("--codes", type=json.loads, required=True, help="the fingerprint of each script, as JSON")
    parser.add_argument(
        "--benchmarked", type=json.loads, required=True, help="pattern and jobs of each seed's benchmarks, as JSON"
    )
    parser.add_argument("--facts", type=Path, nargs="+", required=True)
    parser.add_argument("--bases", type=Path, nargs="+", required=True, help="handles of the base models")
    parser.add_argument("--agreements", type=Path, nargs="*", default=[], help="the results of check_probe")
    parser.add_argument("--benchmarks", type=Path, required=True, help="the folder of the jobs' benchmark files")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    handles = {str(path): read_json(path, "the handle of a base model") for path in args.bases}
    counted = {path for pattern, jobs in args.benchmarked for path in filled(pattern, args.config["seeds"], jobs)}
    write_json(
        {
            "config": args.config,
            "code": args.codes,
            "git": git_state(Path(__file__).parent),
            "data_sha256": {str(path): digest(path) for path in args.facts},
            "base_models": {path: handle["sha256"] for path, handle in handles.items()},
            "base_model_sources": {
                path: {key: handle[key] for key in ("source", "card") if key in handle}
                for path, handle in handles.items()
            },
            "agreement": {str(path): read_json(path, "an agreement of a probe") for path in args.agreements},
            "packages": packages(),
            "locks": locks(Path(__file__).parents[1] / "envs"),
            "hardware": hardware(),
            "jobs": timings(args.benchmarks, counted),
        },
        args.output,
    )


if __name__ == "__main__":
    report(main)
