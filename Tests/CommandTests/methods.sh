#!/usr/bin/env bash
# `bert-ddp methods`: what each method trains, beside what a run prints, and beside what PEFT and AdapterHub's library
# train where BERT_DDP_PEERS names a Python environment that has them.
#
#   Tests/CommandTests/methods.sh [FOLDER OF THE PROGRAMS]
set -euo pipefail

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$here/lib/checks.sh" "$@"

# The number under a key of the first row that has a method and options; rows are objects with sorted keys.
figure() { # FILE KEY METHOD [OPTIONS]
  awk -v key="\"$2\" :" -v method="\"method\" : \"$3\"" -v options="\"options\" : \"${4:-}\"" '
    /^    \{/ { value = ""; ours = 0; fits = 0 }
    index($0, key) { value = $3; sub(/,$/, "", value) }
    index($0, method) { ours = 1 }
    index($0, options) { fits = 1 }
    /^    \}/ && ours && fits { print value; exit }' "$1"
}

echo "-- What each method trains"
for count in 1 4; do
  succeed "$count" methods
  holds "no shape: $(head -n 1 "$out")" grep -q '^On the shape of bert-base-multilingual-cased' "$out"
  holds "another count: $(cat "$out")" grep -qE '^lora  .* 591,362  +0\.33 % +2\.3 MiB +0\.001$' "$out"
  holds "another count: $(cat "$out")" grep -qE '^fusion .* 21,253,634 ' "$out"
  holds "twice or not at all: $(cat "$out")" [ "$(grep -c '^full ' "$out")" -eq 1 ]
done
conclude "without a base: the shape of multilingual BERT, once on any number of ranks"
succeed 1 train --help
read -ra methods < <(tr -s ' \n' ' ' <"$out" | sed -nE 's/.*Fine-tuning method: ([^.]*)\..*/\1/p' | tr -d ,) || true
holds "few methods: ${methods[*]}" [ "${#methods[@]}" -ge 8 ]
succeed 1 methods --json --base base
cp "$out" listed.json
"$bin/make-fixture" check-json listed.json >"$out" || complain "$(cat "$out")"
for method in "${methods[@]}"; do
  case $method in fusion) continue ;; esac
  succeed 1 train --base base --train-file train.tsv --max-length 32 --max-steps 1 --method "$method" --output "run $method"
  for key in trainable_parameters total_parameters all_reduce_bytes_per_step; do
    # Rows of a trained table of embeddings that no token of a step has are not sent.
    case $method/$key in full/all_reduce*) continue ;; esac
    found=$(figure listed.json $key "$method")
    holds "$method: $key is $found" grep -qE "\"$key\" : $found(,|\$)" "run $method/results.json"
  done
  conclude "$method: trains and sends what the list says"
done

echo "-- Options"
succeed 1 import base --output base.h5
succeed 1 methods --json --base base.h5 --num-labels 3 --lora-rank 2 --adapter-reduction-factor 4
# 2 layers of 32: query and value, A and B each; 3 classes of 32 and a bias.
holds "lora: $(figure "$out" trainable_parameters lora)" [ "$(figure "$out" trainable_parameters lora)" = $((2 * 2 * 2 * 2 * 32 + 99)) ]
found=$(figure "$out" trainable_parameters fusion "--fuse a=PATH,b=PATH")
holds "fusion: $found" [ "$found" = $((2 * (3 * 32 * 32 + 2 * 32) + 99)) ]
found=$(figure "$out" trainable_parameters adapter)
holds "adapter: $found" [ "$found" = $((2 * (2 * 8 * 32 + 8 + 32) + 99)) ]
conclude "an imported base, options of methods, three classes"
for arguments in "--lora-rank 0" "--num-labels 1" "--fuse a=x,b=y" "--adapter-reduction-factor 1e-9" "--adapter-leave-out 2"; do
  # shellcheck disable=SC2086
  ranks 1 methods --base base $arguments
  holds "$arguments: status $status" [ "$status" -eq 64 ]
  holds "$arguments: $(cat "$err")" grep -qF -- "${arguments%% *}" "$err"
done
ranks 1 methods --base nowhere
holds "status $status" [ "$status" -eq 66 ]
conclude "what makes no sense is refused"

echo "-- Frozen layers once"
probe=(train --base base --train-file train.tsv --max-length 32 --dropout 0)
losses() { sed -nE 's/.*"loss":([^,}]*).*/\1/p' "$1/metrics.jsonl"; }
bits() { "$program" inspect "$1/model.h5" | grep '^/tensors'; }
for count in 1 2; do
  for options in "linear-probe" "lora --lora-layers 1 --lora-dropout 0"; do
    # shellcheck disable=SC2086
    succeed "$count" "${probe[@]}" --epochs 3 --log-every 1 --method $options --output "whole $count $options"
    # shellcheck disable=SC2086
    succeed "$count" "${probe[@]}" --epochs 3 --log-every 1 --method $options --cache-frozen --output "kept $count $options"
    holds "$options: not said" grep -qE '^frozen: embeddings and layers? 0( to 1)?, without dropout; output kept for every review' "$out"
    holds "$options: not recorded" grep -q '"cache_frozen" : true' "kept $count $options/config.json"
    holds "$options: no losses" [ "$(losses "kept $count $options" | wc -l)" -gt 3 ]
    losses "whole $count $options" >"$scratch/expected"
    losses "kept $count $options" >"$scratch/found"
    # A product of a row is added up in another order where it stands among others.
    close "$scratch/expected" "$scratch/found" 1e-5
  done
done
conclude "without dropout the losses are those without the option, at 1 and 2 ranks; it is said and recorded"
exact=(--epochs 3 --method linear-probe --cache-frozen --deterministic --checkpoint-every 1 --keep-checkpoints 3)
succeed 1 "${probe[@]}" "${exact[@]}" --output exact
cp -r exact again
rm again/model.h5 "$(find again -name 'checkpoint-*.h5' | sort | tail -n 1)"
succeed 2 "${probe[@]}" "${exact[@]}" --output again --resume auto
holds "other bits" diff -q <(bits exact) <(bits again)
holds "no tensors" [ "$(bits exact | wc -l)" -gt 1 ]
conclude "with --deterministic: the same bits where a run goes on, with nothing kept, on another number of ranks"
ranks 1 "${probe[@]}" --epochs 4 --log-every 1 --method linear-probe --resume auto --output "kept 1 linear-probe"
holds "status $status: $(cat "$err")" [ "$status" -eq 78 ]
holds "not named: $(cat "$err")" grep -q cache_frozen "$err"
for options in "train --method full" "train --method lora" "compare --methods linear-probe,lora --test-file train.tsv"; do
  # shellcheck disable=SC2086
  ranks 1 $options --base base --train-file train.tsv --max-length 32 --cache-frozen --output refused
  holds "$options: status $status" [ "$status" -eq 64 ]
  holds "$options: $(cat "$err")" grep -q -- '--cache-frozen needs layers that are frozen' "$err"
done
ranks 1 pretrain --base base --train-file train.tsv --cache-frozen --output refused
holds "pretrain: status $status" [ "$status" -eq 64 ]
conclude "gone on with without it, and where nothing is frozen below what is trained, it is refused"

echo "-- The libraries' own counts"
python=${BERT_DDP_PEERS:-}/bin/python
if [ -n "${BERT_DDP_PEERS:-}" ] && [ -x "$python" ]; then
  limit=300
  script=$here/../Interop/trainable_counts.py
  succeed 1 methods --json
  cp "$out" multilingual.json
  observe "$python" "$script" multilingual.json
  holds "$(grep -v '^ok' "$out" || true) $(tail -n 3 "$err")" [ "$status" -eq 0 ]
  holds "few: $(tail -n 1 "$out")" grep -qE '^1[5-9] passed, 0 failed' "$out"
  conclude "multilingual BERT: $(tail -n 1 "$out")"
  observe "$python" "$script" listed.json base/config.json
  holds "$(grep -v '^ok' "$out" || true) $(tail -n 3 "$err")" [ "$status" -eq 0 ]
  conclude "the tiny base: $(tail -n 1 "$out")"
else
  echo "skipped the comparison with PEFT and adapters: BERT_DDP_PEERS names no Python environment that has them"
fi

report
