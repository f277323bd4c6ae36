#!/usr/bin/env bash
# The round trip with PEFT and AdapterHub's library as a person does it: train, export, load there; save there, import,
# predict; the logits of 64 reviews agree to 5e-6. Runs where BERT_DDP_PEERS names a Python environment with both.
#
#   Tests/Interop/exchange.sh [FOLDER OF THE PROGRAMS]
set -euo pipefail

if [ -z "${BERT_DDP_PEERS:-}" ]; then
  echo "skipped: BERT_DDP_PEERS names no Python environment with torch, transformers, peft and adapters"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$here/../CommandTests/lib/checks.sh" "$@"
limit=900
export PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1
length=32

# Runs exchange.py, shows its lines, and counts its cases.
interop() { # ARGUMENT…
  local line
  observe "$BERT_DDP_PEERS/bin/python" "$here/exchange.py" "$@"
  grep -E '^(ok|FAILED) ' "$out" || true
  line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$out" | tail -n 1 || true)
  if [[ $line =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
    passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
  fi
}

echo "-- Train and export"
sed -n '2,65p' train.tsv | cut -f 2 >texts.txt
# A base with a classifier, which is not to be taken for the adapter's.
succeed 1 train --base base --train-file train.tsv --max-length $length --max-steps 1 --learning-rate 2e-3 --output full
succeed 1 export --checkpoint full/model.h5 --format hf --output seqcls
succeed 1 import seqcls --output seqcls.h5
conclude "a base with a classifier"

cases=''
# Notes a folder that Python is to load.
note() { # NAME KIND FOLDER TABLE
  cases+="{\"name\": \"$1\", \"kind\": \"$2\", \"written\": \"$3\", \"ours\": \"$4\"},"
}
# Trains a method, exports it in some formats, and notes what Python is to load.
round() { # NAME FORMATS "adapter" OR "setup" ARGUMENT…
  local name=$1 formats=$2 hub=$3 format kind
  shift 3
  succeed 1 train --base seqcls --train-file train.tsv --max-length $length --max-steps 20 --learning-rate 1e-2 \
    --output "$name" "$@"
  succeed 1 predict --checkpoint "$name/model.h5" --input texts.txt --unmerged --logits --output "$name.tsv"
  for format in $formats; do
    succeed 1 export --checkpoint "$name/model.h5" --format "$format" --output "$name for $format"
    case $format in hf) kind=model ;; peft) kind=peft ;; *) kind=$hub ;; esac
    note "$name for $format" "$kind" "$name for $format" "$name.tsv"
    # Back again, and the same to the last digit.
    [ "$format" != hf ] || continue
    succeed 1 import "$name for $format" --base seqcls --output "$name from $format.h5"
    succeed 1 predict --checkpoint "$name from $format.h5" --input texts.txt --unmerged --logits --output back.tsv \
      --max-length $length
    holds "$name: another model came back from $format" cmp -s "$name.tsv" back.tsv
  done
  conclude "$name: $formats, and back"
}
lora=(--method lora --lora-rank 4 --lora-alpha 6)
round "lora" "peft adapterhub hf" adapter "${lora[@]}"
round "rslora" "peft adapterhub hf" adapter "${lora[@]}" --lora-variant rslora
round "dora" "peft hf" - "${lora[@]}" --lora-variant dora
round "adapterhub-dora" "adapterhub hf" adapter "${lora[@]}" --lora-variant adapterhub-dora
round "all-linear" "peft hf" - "${lora[@]}" --lora-targets all-linear
round "embeddings" "peft hf" - "${lora[@]}" --lora-targets query,word_embeddings
round "biases of targets" "peft hf" - "${lora[@]}" --lora-bias lora_only
round "all biases" "peft hf" - "${lora[@]}" --lora-bias all
round "one layer" "peft adapterhub hf" adapter "${lora[@]}" --lora-layers 1 --base seqcls.h5
round "ia3" "adapterhub hf" adapter --method ia3
round "prefix" "adapterhub" adapter --method prefix-tuning --prefix-length 5 --prefix-bottleneck 24
for kind in pfeiffer houlsby parallel scaled_parallel pfeiffer+inv; do
  round "$kind" "adapterhub" adapter --method adapter --adapter-config "$kind" --adapter-reduction-factor 4
done
round "stack" "adapterhub" setup --method adapter --language-adapter "ko=pfeiffer+inv/model.h5" --adapter-reduction-factor 4
round "other" "adapterhub" adapter --method adapter --adapter-reduction-factor 8 --seed 3
round "fusion" "adapterhub" setup --method fusion --fuse "a=pfeiffer/model.h5,b=other/model.h5"
round "stack of a fusion" "adapterhub" setup --method fusion --language-adapter "ko=pfeiffer+inv/model.h5" \
  --fuse "a=pfeiffer/model.h5,b=other/model.h5"
for method in full bitfit linear-probe; do round "$method, plain" "hf" - --method "$method"; done

echo "-- Loaded by the libraries"
printf '[%s]' "${cases%,}" >cases.json
interop check seqcls texts.txt $length cases.json
holds "the libraries do not compute the same: $(tail -n 5 "$err")" [ "$status" -eq 0 ]
conclude "what was exported, in the libraries"

observe "$BERT_DDP_PEERS/bin/python" "$here/exchange.py" check seqcls texts.txt $length <(
  printf '[{"name": "wrong", "kind": "adapter", "written": "pfeiffer for adapterhub", "ours": "houlsby.tsv"}]'
)
holds "it did not notice: $(cat "$out")" grep -q '^0 passed, 2 failed$' "$out"
conclude "another adapter's logits are noticed"

echo "-- Saved by the libraries"
mkdir saved
interop save seqcls texts.txt $length saved
holds "saving failed: $(tail -n 5 "$err")" [ "$status" -eq 0 ]
conclude "adapters of every kind, saved by the libraries"
cases=''
while IFS= read -r name; do
  succeed 1 import "saved/$name" --base seqcls --output "saved/$name.h5"
  succeed 1 predict --checkpoint "saved/$name.h5" --input texts.txt --unmerged --logits --max-length $length \
    --output "saved/$name.tsv"
  format=${name%% *}
  succeed 1 export --checkpoint "saved/$name.h5" --format "$format" --output "saved/$name again"
  case $name in
  peft*) kind=peft ;;
  *stack* | *fusion*) kind=setup ;;
  *) kind=adapter ;;
  esac
  note "$name, again" "$kind" "saved/$name again" "saved/$name.tsv"
  if [[ $name == *lora* ]]; then
    succeed 1 export --checkpoint "saved/$name.h5" --format hf --output "saved/$name merged"
    note "$name, merged" model "saved/$name merged" "saved/$name.tsv"
  fi
  conclude "import of $name, and export again"
done <saved/names
interop compare saved
holds "not the libraries' logits: $(tail -n 5 "$err")" [ "$status" -eq 0 ]
conclude "what was imported, as the libraries compute it"
printf '[%s]' "${cases%,}" >cases.json
interop check seqcls texts.txt $length cases.json
holds "the libraries do not compute the same: $(tail -n 5 "$err")" [ "$status" -eq 0 ]
conclude "what was imported and exported again, in the libraries"

report
