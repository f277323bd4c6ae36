#!/usr/bin/env python3
"""Loads an exported base with Transformers' BertForMaskedLM and measures it by the held-out rule.

    pretraining.py DIRECTORY TEXTS LOSS

In text r of TEXTS, one a line, counted from 0, every position i with (i + r) % 7 == 3 is hidden, the first and the last
left out; the mean cross-entropy over them has to be LOSS to 1e-4. Fails, too, when a tensor of the head is missing or is
not loaded. Needs torch and transformers.
"""

import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import AutoTokenizer, BertForMaskedLM

directory, texts, expected = sys.argv[1], sys.argv[2], float(sys.argv[3])
model, report = BertForMaskedLM.from_pretrained(directory, output_loading_info=True)
assert not report["missing_keys"], report["missing_keys"]
# A pooler belongs to every base of ours; this class has none.
unexpected = [key for key in report["unexpected_keys"] if "pooler" not in key]
assert not unexpected, unexpected
tokenizer = AutoTokenizer.from_pretrained(directory)
length = min(128, model.config.max_position_embeddings)
total, count = 0.0, 0
model.eval()
with open(texts, encoding="utf-8") as lines, torch.no_grad():
    for row, line in enumerate(lines):
        ids = torch.tensor(tokenizer(line.rstrip("\n"), truncation=True, max_length=length)["input_ids"])
        places = [i for i in range(1, len(ids) - 1) if (i + row) % 7 == 3]
        if not places:
            continue
        hidden = ids.clone()
        hidden[places] = tokenizer.mask_token_id
        logits = model(input_ids=hidden[None]).logits[0, places]
        total += torch.nn.functional.cross_entropy(logits, ids[places], reduction="sum").item()
        count += len(places)
loss = total / count
print(f"{count} hidden tokens, loss {loss:.5f}, expected {expected:.5f}")
sys.exit(abs(loss - expected) > 1e-4)
