#!/usr/bin/env bash
# From texts to a model of one's own: `demo`, `vocabulary`, `pretrain` from scratch, on a base and with a language adapter,
# and what the other commands make of the results. With BERT_DDP_PEERS also what Transformers makes of them.
#
#   Tests/CommandTests/pretrain.sh [FOLDER OF THE PROGRAMS]
set -euo pipefail

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$here/lib/checks.sh" "$@"

echo "-- The demo's data"
succeed 1 demo --output demo
for file in train.tsv test.tsv texts.txt vocab.txt; do holds "no $file" [ -s "demo/$file" ]; done
conclude "written as files"
head -n 1500 demo/texts.txt >texts.txt
tail -n 60 demo/texts.txt >held-out.txt

succeed 1 --max-steps 1 --output "the demo"
holds "another base: $(head -n 5 "$out")" grep -q 'pre-trained (.*checkpoints/demo-base.h5' "$out"
mkdir alone
cp "$bin/bert-ddp" alone/
observe alone/bert-ddp --max-steps 1 --output "alone/run"
holds "status $status: $(head -n 5 "$out")" grep -q 'starts at random, as checkpoints/demo-base.h5 is not beside' "$out"
conclude "the demo's own base is found, and its absence is told"

echo "-- A vocabulary"
for count in 1 2; do
  succeed "$count" vocabulary --input texts.txt --size 600 --output "vocab $count.txt"
  holds "$(wc -l <"vocab $count.txt") lines" [ "$(wc -l <"vocab $count.txt")" -eq 600 ]
done
holds "another one" cmp -s "vocab 1.txt" "vocab 2.txt"
holds "begins with $(head -n 5 "vocab 1.txt" | tr '\n' ' ')" [ "$(head -n 5 "vocab 1.txt" | tr -d '\n')" = "[PAD][UNK][CLS][SEP][MASK]" ]
cp "vocab 1.txt" vocab.txt
succeed 1 vocabulary --input texts.txt --size 100 --output -
holds "$(wc -l <"$out") lines on standard output" [ "$(wc -l <"$out")" -eq 100 ]
conclude "of the size asked for, the same each time"

echo "-- A base from scratch"
fresh=(pretrain --shape "2,32,2,64" --vocabulary vocab.txt --max-length 40 --train-file texts.txt --held-out-file held-out.txt
  --lr-schedule constant --warmup-ratio 0 --global-batch-size 64 --log-every 1)
for count in 1 2 4; do
  succeed "$count" "${fresh[@]}" --max-steps 6 --output "on $count"
  for file in config.json metrics.jsonl results.json checkpoint-6.h5 base.h5; do holds "no $file" [ -s "on $count/$file" ]; done
  numbers "on $count/metrics.jsonl" step loss >"$scratch/losses $count"
  close "$scratch/losses 1" "$scratch/losses $count" 1e-4
done
"$bin/make-fixture" check-json "on 1/config.json" "on 1/metrics.jsonl" "on 1/results.json" >"$out" || complain "$(cat "$out")"
holds "no held-out loss" grep -q '"masked_tokens"' "on 1/results.json"
first=$(head -n 1 "$scratch/losses 1") last=$(tail -n 1 "$scratch/losses 1")
holds "nothing is learnt: $first, $last" awk "BEGIN { exit !($last < $first - 0.1) }"
conclude "learns, and losses do not depend on the number of ranks"
succeed 1 "${fresh[@]}" --max-steps 3 --output resumed
succeed 1 "${fresh[@]}" --max-steps 6 --output resumed --resume auto
same_tensors "on 1/checkpoint-6.h5" resumed/checkpoint-6.h5
same_tensors "on 1/base.h5" resumed/base.h5
conclude "goes on as if nothing had been interrupted"
for count in 1 2; do succeed "$count" "${fresh[@]}" --max-steps 3 --deterministic --output "same $count"; done
same_tensors "same 1/base.h5" "same 2/base.h5"
conclude "--deterministic: the same bits on 1 and 2 ranks"
for count in 1 3; do
  succeed "$count" "${fresh[@]}" --batch-tokens 500 --max-steps 8 --output "like $count"
  numbers "like $count/metrics.jsonl" step loss >"$scratch/like $count"
  close "$scratch/like 1" "$scratch/like $count" 1e-4
done
holds "the losses of batches of as many texts" [ "$(head -n 1 "$scratch/like 1")" != "$(head -n 1 "$scratch/losses 1")" ]
holds "batches are not told of" grep -q 'texts of like length, at most 500 tokens' "$out"
succeed 1 "${fresh[@]}" --batch-tokens 500 --max-steps 5 --output "like resumed"
succeed 1 "${fresh[@]}" --batch-tokens 500 --max-steps 8 --output "like resumed" --resume auto
same_tensors "like 1/base.h5" "like resumed/base.h5"
conclude "batches of like length: on 1 and 3 ranks, and gone on with"
succeed 1 evaluate --checkpoint "on 1/base.h5" --test-file held-out.txt --json
found=$(sed -nE 's/.*"loss" : ([0-9.]+).*/\1/p' "$out") told=$(sed -nE 's/.*"loss" : ([0-9.]+),?$/\1/p' "on 1/results.json" | tail -n 1)
holds "evaluate says $found, the run $told" awk "BEGIN { d = $found - $told; exit !(d < 1e-5 && d > -1e-5) }"
conclude "evaluate: the same held-out loss"
succeed 1 "${fresh[@]}" --max-steps 2 --whole-word --output "whole words"
holds "the same masks" [ "$(numbers "whole words/metrics.jsonl" step loss | head -n 1)" != "$first" ]
awk 'NR % 5 == 0 { print ""; next } { print }' texts.txt >documents.txt
succeed 2 "${fresh[@]}" --train-file documents.txt --next-sentence --max-steps 3 --output pairs
conclude "whole words, and pairs of sentences"

echo "-- What others make of it"
succeed 1 export --checkpoint "on 1/base.h5" --format hf --output exported
succeed 1 import exported --output imported.h5
for file in "on 1/base.h5" imported.h5; do "$program" inspect "$file" | grep '^content'; done >"$scratch/contents"
holds "$(cat "$scratch/contents")" [ "$(uniq "$scratch/contents" | wc -l)" -eq 1 ]
succeed 1 export --checkpoint "on 1/checkpoint-6.h5" --format hf --output "exported checkpoint"
holds "another model" cmp -s exported/model.safetensors "exported checkpoint/model.safetensors"
holds "no architecture" grep -q BertForMaskedLM exported/config.json
succeed 1 export --checkpoint pairs/base.h5 --format hf --output "exported pairs"
holds "no architecture" grep -q BertForPreTraining "exported pairs/config.json"
conclude "export and import: the same numbers"
task=(train --base "on 1/base.h5" --train-file train.tsv --test-file test.tsv --max-length 32 --max-steps 2)
succeed 1 "${task[@]}" --output task
succeed 1 pretrain --base "on 1/base.h5" --train-file texts.txt --max-steps 2 --output adapted
succeed 1 pretrain --base base --train-file texts.txt --max-length 32 --max-steps 1 --output "adapted base"
conclude "train on it, and go on with it"

echo "-- A language adapter, a task adapter, their fusion"
language=(pretrain --base "on 1/base.h5" --train-file texts.txt --held-out-file held-out.txt --method adapter
  --adapter-reduction-factor 4 --adapter-name ko --max-steps 3)
succeed 2 "${language[@]}" --output ko
"$program" inspect ko/model.h5 >"$scratch/ko"
holds "no invertible block" grep -q invertible_adapters.ko.F.0.weight "$scratch/ko"
succeed 1 evaluate --checkpoint ko/model.h5 --test-file held-out.txt
for name in one two; do
  succeed 1 "${task[@]}" --method adapter --language-adapter ko/model.h5 --seed "${#name}" --output "$name"
done
succeed 1 "${task[@]}" --method fusion --language-adapter ko/model.h5 --fuse one=one/model.h5,two=two/model.h5 --output fused
succeed 1 export --checkpoint ko/model.h5 --format adapterhub --output "ko folder"
holds "no block in the folder" grep -q '"inv_adapter": "nice"' "ko folder/adapter_config.json"
succeed 1 "${task[@]}" --method adapter --language-adapter "ko folder" --output "from the folder"
conclude "built end to end"

echo "-- What is refused"
refused "neither base nor shape" 64 --base --shape -- pretrain --train-file texts.txt
refused "no texts" 64 --train-file -- pretrain --base base
refused "a shape without a vocabulary" 64 --vocabulary -- pretrain --shape 1,16,2,32 --train-file texts.txt
refused "a shape that is none" 64 --shape 1,16 -- pretrain --shape 1,16 --vocabulary vocab.txt --train-file texts.txt
refused "heads that do not fit" 64 --shape -- pretrain --shape 1,16,3,32 --vocabulary vocab.txt --train-file texts.txt
refused "another method" 64 --method lora -- pretrain --base base --train-file texts.txt --method lora
refused "a share of all" 64 --masked-share -- pretrain --base base --train-file texts.txt --masked-share 1
refused "no tokens to a batch" 64 --batch-tokens -- pretrain --base base --train-file texts.txt --batch-tokens 0
refused "batches of tokens in parts" 64 --batch-tokens --accumulation-steps -- \
  pretrain --base base --train-file texts.txt --batch-tokens 500 --accumulation-steps 2
refused "pairs of like length" 64 --batch-tokens --next-sentence -- \
  pretrain --base base --train-file documents.txt --batch-tokens 500 --next-sentence
refused "missing texts" 66 nowhere.txt -- pretrain --base base --train-file nowhere.txt --max-length 32
mkdir untied && cp base/* untied/ && sed -i 's/^{/{"tie_word_embeddings": false,/' untied/config.json
refused "a decoder that is not the table of embeddings" 64 tie_word_embeddings -- \
  pretrain --base untied --train-file texts.txt --max-length 32
mkdir "one type" && cp base/* "one type/" && sed -i 's/"type_vocab_size": *2/"type_vocab_size": 1/' "one type/config.json"
refused "pairs on a base of one type" 64 type_vocab_size -- \
  pretrain --base "one type" --train-file documents.txt --next-sentence --max-length 32
refused "one document" 65 texts.txt "blank lines" -- pretrain --base base --train-file texts.txt --next-sentence --max-length 32
refused "a vocabulary of nothing" 64 --size -- vocabulary --input texts.txt --size 5 --output new.txt
refused "classes of a base" 64 "knows no classes" -- predict --checkpoint "on 1/base.h5" --input texts.txt --output labels.tsv
refused "a base as an adapter" 64 "--format hf" -- export --checkpoint "on 1/base.h5" --format peft --output folder

echo "-- Transformers"
python=${BERT_DDP_PEERS:-}/bin/python
if [ -n "${BERT_DDP_PEERS:-}" ] && [ -x "$python" ]; then
  limit=300
  observe "$python" "$here/../Interop/pretraining.py" exported held-out.txt "$told"
  holds "$(cat "$out") $(tail -n 3 "$err")" [ "$status" -eq 0 ]
  conclude "BertForMaskedLM loads it whole and finds the same loss: $(tail -n 1 "$out")"
else
  echo "skipped the comparison with Transformers: BERT_DDP_PEERS names no Python environment that has it"
fi

report
