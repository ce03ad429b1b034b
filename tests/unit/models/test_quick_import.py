"""The quick import of transformers: what it leaves out, and that nothing is missing afterwards."""

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
CODE = """
import sys
from gradual.models.quick_import import import_transformers
import_transformers()
assert "transformers.modeling_utils" in sys.modules and "scipy" not in sys.modules
import transformers
assert isinstance(vars(transformers)["models"], type(sys)) and "LlamaConfig" not in vars(transformers.models)
from transformers import AutoModelForCausalLM, LlamaForCausalLM  # by names of transformers: nothing is read
assert sys.modules["transformers.models"] is transformers.models
from transformers.models import LlamaConfig  # a name of transformers.models: its files are read
from transformers.models.llama import modeling_llama
assert modeling_llama.LlamaForCausalLM is LlamaForCausalLM and modeling_llama.LlamaConfig is LlamaConfig
assert transformers.models.qwen2.Qwen2Config.model_type == "qwen2"
import scipy.stats
assert scipy.stats.norm.cdf(0) == 0.5
"""


def test_models_can_be_read_later_and_scipy_can_be_imported():
    subprocess.run([sys.executable, "-c", CODE], check=True, cwd=SCRIPTS)
