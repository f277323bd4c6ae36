#!/usr/bin/env python3
"""The commands' side of the round trip with PEFT and AdapterHub's library; see exchange.sh.

    exchange.py check BASE TEXTS LENGTH CASES   load folders that bert-ddp export wrote, compare with its logits
    exchange.py save BASE TEXTS LENGTH FOLDER   save adapters of every kind with their logits, for bert-ddp import
    exchange.py compare FOLDER                  compare those logits with what bert-ddp predicted

CASES is a JSON file: a list of objects as in round_trip.py, each with "ours", a table that "bert-ddp predict --logits"
wrote. TEXTS has one text a line; they are cut to LENGTH tokens. Loading is as strict as in round_trip.py: a tensor that
a library skips, a head that it makes up, a warning about either fail a case.

Needs torch, transformers, peft and adapters. Ends with "N passed, M failed".
"""

import json
import os
import sys

import round_trip
import torch
from transformers import BertForSequenceClassification, BertTokenizerFast

TOLERANCE = 5e-6


def encode(base, path, length):
    with open(path) as file:
        texts = file.read().splitlines()
    tokenizer = BertTokenizerFast.from_pretrained(base)
    return tokenizer(texts, truncation=True, max_length=length, padding=True, return_tensors="pt")


def logits(model, inputs):
    return round_trip.logits(model, dict(inputs))


def table(path):
    """The logits of a table, [texts, classes]."""
    with open(path) as file:
        lines = [line.rstrip("\n").split("\t") for line in file]
    columns = [i for i, name in enumerate(lines[0]) if name.startswith("logit_")]
    return torch.tensor([[float(line[i]) for i in columns] for line in lines[1:]])


def report(results):
    """results: name -> difference, or a sentence about what went wrong."""
    failed = 0
    for name, result in results:
        good = isinstance(result, float) and result <= TOLERANCE
        failed += not good
        text = f"max |difference| {result:.2g}" if isinstance(result, float) else result
        print(f"{'ok     ' if good else 'FAILED '} {name:46} {text}", flush=True)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed or not results else 0


def difference(ours, theirs):
    if ours.shape != theirs.shape:
        return f"{list(ours.shape)} logits of ours, {list(theirs.shape)} of theirs"
    if (theirs.max(0).values - theirs.min(0).values).max() < 0.05:
        return "the logits hardly depend on the text: this compares nothing"
    return (ours - theirs).abs().max().item()


# What bert-ddp wrote


def check(base, texts, length, path):
    inputs = encode(base, texts, length)
    round_trip.batch = lambda model: dict(inputs)
    round_trip.listen()
    with open(path) as file:
        cases = json.load(file)
    results = []
    for case in cases:
        ours = table(case["ours"])
        try:
            for form, found in round_trip.load_strictly(base, case):
                results.append((f"{case['name']} ({form})", difference(ours, found)))
        except Exception as error:  # every case is reported, whatever a library raises
            results.append((case["name"], f"{type(error).__name__}: {error}"))
    return report(results)


# What the libraries write


def stir(model, generator):
    """Moves everything that is trained away from its start."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                size = 0.5 if "classifier" in name or "heads." in name else 0.1
                parameter += size * torch.randn(parameter.shape, generator=generator)


def fresh(base):
    torch.manual_seed(1)
    return BertForSequenceClassification.from_pretrained(base, attn_implementation="eager")


def save_peft(base, folder, inputs, generator):
    from peft import LoraConfig, get_peft_model

    cases = {
        "lora": {"target_modules": ["query", "value"]},
        "rslora": {"target_modules": ["query", "value"], "use_rslora": True},
        "dora": {"target_modules": ["query", "dense"], "use_dora": True},
        "rslora and dora": {"target_modules": ["key"], "use_dora": True, "use_rslora": True},
        "all-linear": {"target_modules": "all-linear"},
        "embeddings": {"target_modules": ["word_embeddings", "value"]},
        "biases of targets": {"target_modules": ["query", "output.dense"], "bias": "lora_only"},
        "all biases": {"target_modules": ["query"], "bias": "all"},
        "a pattern": {"target_modules": r".*encoder\.layer\.[01]\.(attention\.self\.query|output\.dense)"},
        "one layer": {"target_modules": ["query", "value"], "layers_to_transform": [1]},
        "ranks and alphas": {
            "target_modules": ["query", "value", "intermediate.dense"],
            "rank_pattern": {"value": 2, r"layer\.1\.attention\.self\.query": 3},
            "alpha_pattern": {"intermediate.dense": 5},
        },
        "exclusions": {"target_modules": "all-linear", "exclude_modules": ["pooler.dense", "key"]},
        "a pooler of its own": {"target_modules": ["query"], "modules_to_save": ["classifier", "pooler"]},
    }
    for name, options in cases.items():
        config = LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=6, lora_dropout=0.1, **options)
        model = get_peft_model(fresh(base), config)
        stir(model, generator)
        yield f"peft {name}", model.save_pretrained, model
        if name == "lora":
            with torch.no_grad():
                model.get_input_embeddings().weight.mul_(1.5)
            whole = "peft lora and the whole word embedding"
            yield whole, lambda path, m=model: m.save_pretrained(path, save_embedding_layers=True), model


def hub_model(base):
    import adapters

    model = fresh(base)
    adapters.init(model)
    return model


def save_adapterhub(base, folder, inputs, generator):
    import adapters
    from adapters import BnConfig, SeqBnConfig, SeqBnInvConfig
    from adapters.composition import Fuse, Stack

    small = SeqBnConfig(reduction_factor=4)
    cases = {
        "seq_bn": small,
        "double_seq_bn": "double_seq_bn[reduction_factor=4]",
        "par_bn": "par_bn",
        "scaled_par_bn": "scaled_par_bn",
        "seq_bn_inv": SeqBnInvConfig(reduction_factor=4, non_linearity="gelu"),
        "left out layer, reductions": BnConfig(
            mh_adapter=True, output_adapter=True, reduction_factor={"1": 2, "default": 8}, non_linearity="gelu_new",
            leave_out=[0], original_ln_before=True, residual_before_ln="post_add"),
        "own norms": BnConfig(
            mh_adapter=False, output_adapter=True, reduction_factor=4, non_linearity="tanh", ln_before=True,
            ln_after=True, adapter_residual_before_ln=True, residual_before_ln=False, scaling=0.5),
        "lora": "lora[r=4,alpha=6]",
        "lora of everything": "lora[r=4,alpha=6,attn_matrices=['q','k','v'],intermediate_lora=True,output_lora=True]",
        "dora": "dora[r=4,alpha=6]",
        "ia3": "ia3",
        "prefix_tuning": "prefix_tuning[prefix_length=5,bottleneck_size=24]",
    }
    for name, config in cases.items():
        model = hub_model(base)
        model.add_adapter("task", config=config)
        model.train_adapter("task")
        stir(model, generator)
        # DoRA's magnitudes start at 1 here and are then far from the rows' lengths: as good as any numbers.
        yield f"adapterhub {name}", lambda path, m=model: m.save_adapter(path, "task"), model
    model = hub_model(base)
    model.add_adapter("task", config=small)
    model.train_adapter("task")
    stir(model, generator)
    yield "adapterhub safetensors", lambda path: model.save_adapter(path, "task", use_safetensors=True), model

    def several(setup, fuses):
        model = hub_model(base)
        model.add_adapter("ko", config=SeqBnInvConfig(reduction_factor=2, non_linearity="gelu"))
        for name in ("a", "b"):
            model.add_adapter(name, config=small)
        if fuses:
            model.add_adapter_fusion(Fuse("a", "b"))
        for name, parameter in model.named_parameters():
            parameter.requires_grad = "adapter" in name or "classifier" in name
        stir(model, generator)
        model.set_active_adapters(setup)
        return model

    setups = {
        "stack": Stack("ko", "a"),
        "fusion": Fuse("a", "b"),
        "stack of a fusion": Stack("ko", Fuse("a", "b")),
    }
    for name, setup in setups.items():
        model = several(setup, name != "stack")
        head = True if name == "fusion" else None
        yield f"adapterhub {name}", lambda path, m=model, s=setup, h=head: m.save_adapter_setup(path, s, head_setup=h), model

    for name, config in {"flexible head": small, "lora under a flexible head": "lora[r=4,alpha=6]"}.items():
        torch.manual_seed(1)
        flexible = adapters.BertAdapterModel.from_pretrained(base, attn_implementation="eager")
        flexible.add_adapter("task", config=config)
        flexible.add_classification_head("task", num_labels=3)
        flexible.train_adapter("task")
        stir(flexible, generator)
        yield f"adapterhub {name}", lambda path, m=flexible: m.save_adapter(path, "task"), flexible


def save(base, texts, length, folder):
    inputs = encode(base, texts, length)
    generator = torch.Generator().manual_seed(2)
    names = []
    for make in (save_peft, save_adapterhub):
        for name, write, model in make(base, folder, inputs, generator):
            write(os.path.join(folder, name))
            torch.save(logits(model.eval(), inputs), os.path.join(folder, name + ".pt"))
            names.append(name)
    with open(os.path.join(folder, "names"), "w") as file:
        file.write("".join(name + "\n" for name in names))
    return 0


def compare(folder):
    with open(os.path.join(folder, "names")) as file:
        names = file.read().splitlines()
    results = []
    for name in names:
        theirs = torch.load(os.path.join(folder, name + ".pt"), weights_only=True)
        path = os.path.join(folder, name + ".tsv")
        results.append((name, difference(table(path), theirs) if os.path.exists(path) else "was not imported"))
    return report(results)


def main():
    command, *arguments = sys.argv[1:]
    if command in ("check", "save"):
        base, texts, length, path = arguments
        return {"check": check, "save": save}[command](base, texts, int(length), path)
    if command == "compare":
        return compare(*arguments)
    raise SystemExit(__doc__)


if __name__ == "__main__":
    sys.exit(main())
