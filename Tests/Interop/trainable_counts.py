#!/usr/bin/env python3
"""Compares what `bert-ddp methods --json` says with what PEFT and AdapterHub's library train.

    bert-ddp methods --json [--base BASE] >methods.json
    trainable_counts.py methods.json [BASE/config.json]

Without a configuration the base has the shape of multilingual BERT. Every row is built by the library that has the
method, and the numbers that have a gradient are counted; a row that no library is asked for is a failure. Nothing is
computed, so the models have shapes and no memory. Needs torch, transformers, peft and adapters. Exits 0 when every
count is the same; the last line is "N passed, M failed".
"""

import json
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import adapters
import torch
from adapters.composition import Fuse
from peft import LoraConfig, get_peft_model
from transformers import BertConfig, BertForSequenceClassification


def counted(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def partial(trains):
    def count(model):
        for name, parameter in model.named_parameters():
            parameter.requires_grad = name.startswith("classifier") or trains(name)
        return counted(model)

    return count


def lora(**options):
    options = {"r": 16, "target_modules": ["query", "value"]} | options
    return lambda model: counted(get_peft_model(model, LoraConfig(task_type="SEQ_CLS", **options)))


def adapter(config):
    def count(model):
        adapters.init(model)
        model.add_adapter("task", config=config)
        model.train_adapter("task")
        return counted(model)

    return count


def fusion(model):
    adapters.init(model)
    for name in "a", "b":
        model.add_adapter(name, config="seq_bn")
    model.add_adapter_fusion(Fuse("a", "b"))
    model.train_adapter_fusion(Fuse("a", "b"))
    return counted(model)


LIBRARIES = {
    ("full", ""): partial(lambda name: True),
    ("linear-probe", ""): partial(lambda name: False),
    ("bitfit", ""): partial(lambda name: name.endswith("bias")),
    ("lora", ""): lora(),
    ("lora", "--lora-rank 32"): lora(r=32),
    ("lora", "--lora-rank 64"): lora(r=64),
    ("lora", "--lora-targets all-linear"): lora(target_modules="all-linear"),
    ("lora", "--lora-variant dora"): lora(use_dora=True),
    ("ia3", ""): adapter("ia3"),
    ("prefix-tuning", ""): adapter("prefix_tuning"),
    ("adapter", ""): adapter("seq_bn"),
    ("adapter", "--adapter-config houlsby"): adapter("double_seq_bn"),
    ("adapter", "--adapter-config parallel"): adapter("par_bn"),
    ("adapter", "--adapter-config scaled_parallel"): adapter("scaled_par_bn"),
    ("fusion", "--fuse a=PATH,b=PATH"): fusion,
}


def main():
    listed = json.load(open(sys.argv[1]))
    config = dict(vocab_size=119547)
    if len(sys.argv) > 2:
        config = json.load(open(sys.argv[2]))
    passed = failed = 0
    for row in listed["methods"]:
        name = f"{row['method']} {row['options']}".strip()
        build = LIBRARIES.get((row["method"], row["options"]))
        if build is None:
            print(f"FAILED  {name}: no library is asked for it")
            failed += 1
            continue
        with torch.device("meta"):
            model = BertForSequenceClassification(BertConfig(**config, num_labels=listed["num_labels"]))
            expected = build(model)
        same = row["trainable_parameters"] == expected and row["all_reduce_bytes_per_step"] == 4 * expected
        print(f"{'ok     ' if same else 'FAILED '} {name}: {row['trainable_parameters']:,}, the library {expected:,}")
        passed, failed = passed + same, failed + (not same)
    missing = {f"{m} {o}" for m, o in LIBRARIES} - {f"{r['method']} {r['options']}" for r in listed["methods"]}
    for name in sorted(missing):
        print(f"FAILED  {name}: not listed")
        failed += 1
    print(f"{passed} passed, {failed} failed")
    return failed > 0


sys.exit(main())
