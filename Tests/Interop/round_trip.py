#!/usr/bin/env python3
"""Loads adapter folders with the libraries they are meant for, and compares with the folders they were made from.

    round_trip.py BASE CASES

BASE is a directory of a BertForSequenceClassification; CASES is a JSON file, a list of objects:

    {"kind": "peft" | "adapter" | "fusion" | "setup" | "model",
     "written": folder to check,
     "original": folder that it must equal, or null,
     "adapters": for a fusion, the folders of its adapters in order,
     "logits": a file of safetensors with input_ids, attention_mask and logits, or absent}

Of each folder that has both, the .bin and the safetensors are loaded. A case fails when a library misses a tensor,
skips one, falls back to a fresh head, warns about either, or computes other logits. The libraries themselves hardly
ever raise: what they pass over is found by comparing every tensor of the files with the loaded model.

Needs torch, transformers, peft and adapters. Exits 0 when every case passes.
"""

import json
import logging
import os
import sys
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from safetensors.torch import load_file
from transformers import BertForSequenceClassification

TOLERANCE = 5e-6


class Collector(logging.Handler):
    """Keeps warnings that say that something was not loaded."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


collector = Collector()


def fresh(base, seed=0):
    """A base whose classifier is garbage, so that a head that is not loaded shows."""
    torch.manual_seed(seed)
    model = BertForSequenceClassification.from_pretrained(base, attn_implementation="eager")
    torch.nn.init.normal_(model.classifier.weight, 0, 3)
    torch.nn.init.normal_(model.classifier.bias, 0, 3)
    return model.eval()


def batch(model):
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, model.config.vocab_size, (64, 24), generator=generator)
    lengths = torch.randint(4, 25, (64,), generator=generator)
    mask = (torch.arange(24)[None] < lengths[:, None]).long()
    return {"input_ids": ids * mask, "attention_mask": mask}


def logits(model, inputs=None):
    model.eval()
    with torch.no_grad():
        return model(**(inputs or batch(model))).logits


def tensors(path):
    if path.endswith(".bin"):
        return torch.load(path, map_location="cpu", weights_only=True)
    return load_file(path)


# Originals of old versions have other names of tensors; of originals, only the logits count.
is_strict = True


def require_loaded(model, path, rename=lambda name: name):
    """Every tensor of a file must be in the model, and equal."""
    if not is_strict:
        return
    state = model.state_dict()
    for name, value in tensors(path).items():
        key = rename(name)
        if key not in state:
            raise AssertionError(f"the library skipped {name} of {path}")
        if not torch.equal(state[key].float(), value.float()):
            raise AssertionError(f"{name} of {path} was not loaded")


def require_from(model, parts, loaded):
    """Every tensor of the model whose name has one of some parts must come from a file."""
    for name in model.state_dict() if is_strict else ():
        if any(part in name for part in parts) and name not in loaded:
            raise AssertionError(f"{name} is not in the files")


# PEFT


def load_peft(base, folder):
    from peft import PeftModel

    model = PeftModel.from_pretrained(fresh(base), folder).eval()
    files = [name for name in ("adapter_model.safetensors", "adapter_model.bin") if exists(folder, name)]
    state = model.state_dict()

    def rename(name):
        for kind in ("lora_A", "lora_B"):
            name = name.replace(f".{kind}.weight", f".{kind}.default.weight")
        for kind in ("lora_embedding_A", "lora_embedding_B"):
            name = name.replace(f".{kind}", f".{kind}.default")
        if name.endswith("lora_magnitude_vector"):
            name += ".default.weight"
        # A module that was trained whole is a copy beside the base's own, which has the plain name.
        parts = name.split(".")
        for place in range(len(parts) - 1, 0, -1):
            saved = ".".join(parts[:place] + ["modules_to_save", "default"] + parts[place:])
            if saved in state:
                return saved
        return name

    require_loaded(model, os.path.join(folder, files[0]), rename)
    loaded = {rename(name) for name in tensors(os.path.join(folder, files[0]))}
    require_from(model, ["lora_", ".modules_to_save.default."], loaded)
    return [("file", logits(model))]


# AdapterHub


def exists(folder, name):
    return os.path.exists(os.path.join(folder, name))


def forms(folder, torch_name, safe_name):
    return [safe for safe, name in ((False, torch_name), (True, safe_name)) if exists(folder, name)]


def head_class(folder):
    """The model class that may load the head beside an adapter."""
    import adapters

    if exists(folder, "head_config.json"):
        with open(os.path.join(folder, "head_config.json")) as file:
            if json.load(file)["model_class"] == "BertAdapterModel":
                return adapters.BertAdapterModel
    return None


def hub_model(base, folder=None):
    import adapters

    flexible = head_class(folder) if folder else None
    if flexible:
        return flexible.from_pretrained(base, attn_implementation="eager").eval()
    model = fresh(base)
    adapters.init(model)
    return model


def adapter_name(folder):
    with open(os.path.join(folder, "adapter_config.json")) as file:
        return json.load(file)["name"]


def check_adapter_files(model, folder, safe):
    parts = [("adapter.safetensors" if safe else "pytorch_adapter.bin")]
    if exists(folder, "head_config.json"):
        parts.append("model_head.safetensors" if safe else "pytorch_model_head.bin")
    loaded = set()
    for part in parts:
        path = os.path.join(folder, part)
        require_loaded(model, path)
        loaded |= set(tensors(path))
    name = adapter_name(folder)
    kinds = ["adapters", "loras", "prefix_tunings", "invertible_adapters"]
    require_from(model, [f".{kind}.{name}." for kind in kinds], loaded)
    return any("classifier" in name or "heads." in name for name in loaded)


def load_adapter(base, folder):
    results = []
    for safe in forms(folder, "pytorch_adapter.bin", "adapter.safetensors"):
        model = hub_model(base, folder)
        info = {}
        model.load_adapter(folder, set_active=True, use_safetensors=safe, loading_info=info)
        check_adapter_files(model, folder, safe)
        results.append(("safetensors" if safe else "bin", logits(model)))
    return results


def load_fusion(base, folder, parts):
    from adapters.composition import Fuse

    results = []
    for safe in forms(folder, "pytorch_model_adapter_fusion.bin", "model_adapter_fusion.safetensors"):
        model = hub_model(base)
        for part in parts:
            model.load_adapter(part, use_safetensors=True, with_head=False)
        model.load_adapter_fusion(folder, use_safetensors=safe)
        file = "model_adapter_fusion.safetensors" if safe else "pytorch_model_adapter_fusion.bin"
        require_loaded(model, os.path.join(folder, file))
        require_from(model, ["adapter_fusion_layer"], set(tensors(os.path.join(folder, file))))
        model.set_active_adapters(Fuse(*[adapter_name(part) for part in parts]))
        results.append(("safetensors" if safe else "bin", logits(model)))
    return results


def load_setup(base, folder):
    results = []
    children = [
        os.path.join(folder, name) for name in sorted(os.listdir(folder)) if exists(os.path.join(folder, name), "adapter_config.json")
    ]
    for safe in forms(children[0], "pytorch_adapter.bin", "adapter.safetensors"):
        model = hub_model(base)
        model.load_adapter_setup(folder, set_active=True, use_safetensors=safe)
        # Of several heads, the last one loaded stays: which, says the library's set order.
        for child in children:
            file = "adapter.safetensors" if safe else "pytorch_adapter.bin"
            require_loaded(model, os.path.join(child, file))
        for name in sorted(os.listdir(folder)):
            if exists(os.path.join(folder, name), "adapter_fusion_config.json"):
                file = "model_adapter_fusion.safetensors" if safe else "pytorch_model_adapter_fusion.bin"
                require_loaded(model, os.path.join(folder, name, file))
        results.append((("safetensors" if safe else "bin"), logits(model)))
    return results


# Merged models


def load_model(base, folder):
    model, info = BertForSequenceClassification.from_pretrained(
        folder, attn_implementation="eager", output_loading_info=True
    )
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if info[key]:
            raise AssertionError(f"{key}: {sorted(info[key])[:3]}")
    require_loaded(model, os.path.join(folder, "model.safetensors"))
    return [("file", logits(model.eval()))]


def load(base, kind, folder, case):
    if kind == "peft":
        return load_peft(base, folder)
    if kind == "adapter":
        return load_adapter(base, folder)
    if kind == "fusion":
        return load_fusion(base, folder, case["adapters"])
    if kind == "setup":
        return load_setup(base, folder)
    if kind == "model":
        return load_model(base, folder)
    raise AssertionError(f"unknown kind {kind}")


WORDS = ("not be loaded", "missing", "not initialized", "unexpected", "newly initialized", "does not match", "skip")


def load_strictly(base, case):
    """The logits of each form of a folder; an error where a library leaves anything out or warns that it does."""
    collector.messages.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = load(base, case["kind"], case["written"], case)
    messages = collector.messages + [str(warning.message) for warning in caught]
    loud = [text for text in messages if any(word in text.lower() for word in WORDS)]
    if loud:
        raise AssertionError(f"the library warns: {loud[0][:300]}")
    if not results:
        raise AssertionError("there are no weights to load")
    return results


def check(base, case):
    global is_strict
    results = load_strictly(base, case)
    worst = 0.0
    expected = [result for _, result in results]
    if case.get("original"):
        is_strict = False
        try:
            expected = [load(base, case["kind"], case["original"], case)[0][1]]
        finally:
            is_strict = True
    for form, result in results:
        difference = (result - expected[0]).abs().max().item()
        worst = max(worst, difference)
        if not difference <= TOLERANCE:
            raise AssertionError(f"the logits of the {form} differ by {difference:g}")
    if case.get("logits"):
        golden = load_file(case["logits"])
        model = case_model(base, case)
        inputs = {key: golden[key].long() for key in ("input_ids", "attention_mask")}
        difference = (logits(model, inputs) - golden["logits"]).abs().max().item()
        worst = max(worst, difference)
        if not difference <= TOLERANCE:
            raise AssertionError(f"the logits differ from the given ones by {difference:g}")
    return worst


def case_model(base, case):
    """The model of a case, for logits that somebody else computed."""
    from adapters.composition import Fuse

    kind, folder = case["kind"], case["written"]
    if kind == "peft":
        from peft import PeftModel

        return PeftModel.from_pretrained(fresh(base), folder).eval()
    if kind == "model":
        return BertForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()
    model = hub_model(base, folder if kind == "adapter" else None)
    if kind == "adapter":
        model.load_adapter(folder, set_active=True)
    elif kind == "setup":
        model.load_adapter_setup(folder, set_active=True)
    else:
        for part in case["adapters"]:
            model.load_adapter(part)
        model.load_adapter_fusion(folder)
        model.set_active_adapters(Fuse(*[adapter_name(part) for part in case["adapters"]]))
    return model.eval()


def listen():
    """Collects what the libraries say."""
    for name in ("peft", "adapters", "transformers"):
        logger = logging.getLogger(name)
        logger.addHandler(collector)
        logger.setLevel(logging.WARNING)


def main():
    base, path = sys.argv[1:3]
    listen()
    with open(path) as file:
        cases = json.load(file)
    failures = 0
    for case in cases:
        try:
            worst = check(base, case)
            print(f"pass  {case['kind']:8} {case['written']}  max |difference| {worst:g}", flush=True)
        except Exception as error:  # every case is reported, whatever a library raises
            failures += 1
            print(f"FAIL  {case['kind']:8} {case['written']}  {type(error).__name__}: {error}", flush=True)
    print(f"{len(cases) - failures} of {len(cases)} pass")
    return 1 if failures or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
