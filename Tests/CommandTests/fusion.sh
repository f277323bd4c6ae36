#!/usr/bin/env bash
# Adapters that are built on adapters: stacked on a language adapter, fused, trained first where they are new.
#
#   Tests/CommandTests/fusion.sh [FOLDER OF THE PROGRAMS]
set -euo pipefail

# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/lib/checks.sh" "$@"

data=(--base base --train-file train.tsv --test-file test.tsv --max-length 32 --learning-rate 2e-3 --log-every 1)
adapter=(train "${data[@]}" --method adapter --epochs 1)
fusion=(train "${data[@]}" --method fusion --epochs 1)

# The tensors of an adapter in a file, a line each with their checksums, without the adapter's name.
adapter_in() { # FILE NAME
  tensors "$1" | grep -E "\.adapters\.$2\.|invertible_adapters\.$2\." |
    sed -E "s/(\.adapters|invertible_adapters)\.$2\./\1.X./; s/ +/ /g" | sort
}
# Complains unless an adapter is the same in two files, bit for bit.
same_adapter() { # FILE NAME FILE NAME
  adapter_in "$1" "$2" >"$scratch/one"
  adapter_in "$3" "$4" >"$scratch/two"
  holds "no adapter $2 in $1" [ -s "$scratch/one" ]
  holds "$2 of $1 and $4 of $3 differ: $(diff "$scratch/one" "$scratch/two" | head -n 3)" \
    cmp -s "$scratch/one" "$scratch/two"
}
number() { sed -nE "s/^  \"$2\" : ([-+.0-9eE]+).*/\1/p" "$1"; }

echo "-- Adapters to build on"
succeed 2 "${adapter[@]}" --adapter-config pfeiffer+inv --adapter-reduction-factor 2 --adapter-activation gelu --output ko
succeed 2 "${adapter[@]}" --adapter-reduction-factor 4 --seed 2 --output other
conclude "two adapters of different widths, one with an invertible block"

for fused in ko=ko/model.h5,b=other/model.h5 ko=ko/model.h5,task=new; do
  succeed 1 train --base base --train-file train.tsv --method fusion --fuse "$fused" --print-config
  holds "another rate: $(cat "$out")" grep -qx 'learning-rate: 0.0005' "$out"
  cp "$out" fusion.yaml
  succeed 1 train --config fusion.yaml --print-config
  holds "not the same: $(diff fusion.yaml "$out")" cmp -s fusion.yaml "$out"
done
succeed 1 train --base base --train-file train.tsv --method adapter --language-adapter ko/model.h5 --print-config
holds "another rate: $(cat "$out")" grep -qx 'learning-rate: 0.001' "$out"
conclude "--print-config opens no adapter"

echo "-- Stacked on a language adapter"
for count in 1 2 4; do
  succeed "$count" "${adapter[@]}" --language-adapter ko=ko/model.h5 --output "stack on $count"
  holds "not the setup" grep -q 'Stack(ko, task)' "$out"
  same_adapter ko/model.h5 task "stack on $count/model.h5" ko
  numbers "stack on $count/metrics.jsonl" step loss >"$scratch/losses on $count"
  close "$scratch/losses on 1" "$scratch/losses on $count" 1e-5
done
holds "the new adapter is the old one" [ "$(adapter_in "stack on 1/model.h5" task)" != "$(adapter_in other/model.h5 task)" ]
conclude "the language adapter stays as it was, on 1, 2 and 4 ranks, which agree"

echo "-- Fused"
for count in 1 2 3 4; do
  succeed "$count" "${fusion[@]}" --fuse ko=ko/model.h5,b=other/model.h5 --output "fusion on $count"
  holds "not what is trained: $(grep -E '^trained' "$out")" grep -qE '^trained +fusion, head$' "$out"
  same_adapter ko/model.h5 task "fusion on $count/model.h5" ko
  same_adapter other/model.h5 task "fusion on $count/model.h5" b
  numbers "fusion on $count/metrics.jsonl" step loss >"$scratch/losses on $count"
  close "$scratch/losses on 1" "$scratch/losses on $count" 1e-5
done
# Two layers of hidden size 32: query and key with their biases, value without, and the head of two classes.
holds "$(number "fusion on 1/results.json" trainable_parameters) trained" \
  [ "$(number "fusion on 1/results.json" trainable_parameters)" -eq $((2 * (3 * 32 * 32 + 2 * 32) + 2 * 32 + 2)) ]
bytes=$(number "fusion on 2/results.json" all_reduce_bytes_per_step)
holds "$bytes bytes a step" [ "$bytes" -eq $((4 * (2 * (3 * 32 * 32 + 2 * 32) + 2 * 32 + 2))) ]
conclude "fused adapters stay as they were; fusion and head alone are trained and all-reduced, on 1, 2, 3 and 4 ranks"
succeed 2 "${fusion[@]}" --fuse ko/model.h5,b=other/model.h5 --train-adapters --output "trained along"
holds "not what is trained: $(grep -E '^trained' "$out")" grep -qE '^trained +b, task, fusion, head$' "$out"
holds "b did not change" [ "$(adapter_in other/model.h5 task)" != "$(adapter_in "trained along/model.h5" b)" ]
conclude "--train-adapters; an adapter that nobody names has its own name"
succeed 2 "${fusion[@]}" --language-adapter ko=ko/model.h5 --fuse a=other/model.h5,b=other/model.h5 --output "above a language"
holds "not the setup" grep -qF 'Stack(ko, Fuse(a, b))' "$out"
conclude "a fusion above a language adapter"

echo "-- From nothing to a fusion"
succeed 2 "${fusion[@]}" --fuse ko=ko/model.h5,new --output paper
same_adapter paper/task/model.h5 task paper/model.h5 task
holds "no single adapter" grep -q '"single_adapters"' paper/results.json
holds "not its figures" [ "$(grep -c '"method" : "adapter"' paper/results.json)" -eq 1 ]
accuracy=$(number paper/task/results.json accuracy)
holds "accuracy $accuracy is not beside the fusion's" grep -qE "^ +\"accuracy\" : $accuracy" paper/results.json
holds "no row of the adapter: $(cat "$out")" grep -q '^adapter task' "$out"
holds "no row of the fusion" grep -qE '^fusion ' "$out"
conclude "a new adapter is trained first, and its figures stand beside the fusion's"

echo "-- Afterwards"
mkdir moved && mv ko other moved && mv paper/task moved/task
for count in 1 3; do
  succeed "$count" evaluate --json --checkpoint paper/model.h5 --test-file test.tsv
  for key in accuracy f1 loss; do
    holds "$key is $(number "$out" $key)" [ "$(number "$out" $key)" = "$(number paper/results.json $key)" ]
  done
done
conclude "the trained file has all that it was built on"
mv moved/* . && mv task paper/
cp -r paper "gone on"
rm "gone on/model.h5" "gone on/results.json"
find "gone on" -name 'checkpoint-*.h5' -path 'gone on/check*' -delete
succeed 2 "${fusion[@]}" --fuse ko=ko/model.h5,new --output "gone on" --resume auto
same_tensors paper/model.h5 "gone on/model.h5"
conclude "killed between the stages: --resume auto does not train the adapter again and gets to the same bits"
half=("${fusion[@]}" --fuse "ko=ko/model.h5,b=other/model.h5" --checkpoint-every 2 --keep-checkpoints 9)
succeed 2 "${half[@]}" --output "in two parts"
find "in two parts" -name 'checkpoint-*.h5' ! -name checkpoint-2.h5 -delete
cp "in two parts/model.h5" whole.h5
succeed 2 "${half[@]}" --output "in two parts" --resume auto
same_tensors whole.h5 "in two parts/model.h5"
conclude "going on in the middle of a fusion: the same bits"

echo "-- Refused"
sound=(train --base base --train-file train.tsv --max-length 32 --max-steps 2 --output new)
succeed 1 "${sound[@]}" --method lora --output lora
succeed 1 train --max-steps 2 --method adapter --output "of the demo"
refused "a fusion of nothing" 64 --fuse -- "${sound[@]}" --method fusion
refused "a fusion of one" 64 --fuse 1 -- "${sound[@]}" --method fusion --fuse ko/model.h5
refused "--fuse with another method" 64 --fuse lora -- "${sound[@]}" --method lora --fuse ko/model.h5,other/model.h5
refused "--train-adapters without a fusion" 64 --train-adapters -- "${sound[@]}" --method adapter --train-adapters
refused "an entry without a path" 64 --fuse "a=" -- "${sound[@]}" --method fusion --fuse a=,b=other/model.h5
refused "two adapters of one name" 64 task task=PATH -- \
  "${sound[@]}" --method fusion --fuse ko/model.h5,other/model.h5
refused "a language adapter that is to be trained" 64 --language-adapter new -- \
  "${sound[@]}" --method adapter --language-adapter ko=new
refused "an adapter that is missing" 66 nowhere.h5 -- \
  "${sound[@]}" --method fusion --fuse a=nowhere.h5,b=other/model.h5
refused "something else than an adapter" 65 lora/model.h5 lora -- \
  "${sound[@]}" --method fusion --fuse a=lora/model.h5,b=other/model.h5
refused "an adapter of another base" 65 "of the demo/model.h5" base -- \
  "${sound[@]}" --method fusion --fuse "a=of the demo/model.h5,b=other/model.h5"
cp other/model.h5 damaged.h5 && flip damaged.h5 3000
refused "a damaged adapter" 65 damaged.h5 -- "${sound[@]}" --method fusion --fuse a=damaged.h5,b=ko/model.h5
# What is wrong with a fusion is said before its new adapters are trained: no folder of theirs is left, nor begun.
refused "an adapter that is missing, beside a new one" 66 nowhere.h5 -- \
  "${sound[@]}" --method fusion --fuse a=nowhere.h5,b=new
refused "two new adapters of one name" 64 "called a" -- "${sound[@]}" --method fusion --fuse a=new,a=new
refused "a new adapter that does not go with a trained one" 65 ko -- \
  "${sound[@]}" --method fusion --fuse ko=ko/model.h5,b=new --adapter-config houlsby
refused "a new adapter's name that is none" 64 "my.task" -- "${sound[@]}" --method fusion --fuse my.task=new,b=new
refused "going on with other adapters" 78 adapter_sha256 -- \
  "${half[@]}" --fuse ko=ko/model.h5,b=paper/task/model.h5 --output "in two parts" --resume auto

report
