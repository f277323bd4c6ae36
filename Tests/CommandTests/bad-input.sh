#!/usr/bin/env bash
# Every bad input, as a plain command and on four ranks: it ends by itself with the exit status of its kind, says one
# sentence that names the file and what was expected, and leaves the folder as it was. Odd input that is good is taken.
#
#   Tests/CommandTests/bad-input.sh [FOLDER OF THE PROGRAMS]
set -euo pipefail

# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/lib/checks.sh" "$@"

# Training that would be sound but for what is said beside it.
train=(train --base base --train-file train.tsv --max-length 32 --max-steps 2 --learning-rate 1e-3 --output new)

# A copy of a base, to be damaged.
copy() { cp -r "$1" "$2"; }
# A table with a header and lines.
table() { printf 'id\tdocument\tlabel\n'; printf '%b\n' "$@"; }

echo "-- What sound runs leave"
succeed 1 import base --output base.h5
succeed 1 "${train[@]}" --base base.h5 --output run --max-steps 4 --checkpoint-every 2 --test-file test.tsv
for file in model.h5 checkpoint-2.h5 checkpoint-4.h5; do holds "no $file" [ -e "run/$file" ]; done
conclude "import and training for the checks below"

echo "-- Missing"
refused "a training file that is missing" 66 nowhere.tsv "name a file" --train-file -- "${train[@]}" --train-file nowhere.tsv
refused "a test file that is missing" 66 nowhere.tsv "name a file" --test-file -- "${train[@]}" --test-file nowhere.tsv
refused "a training file that is a folder" 66 base directory -- "${train[@]}" --train-file base
refused "a base that is missing" 66 nowhere -- "${train[@]}" --base nowhere
mkdir "no base"
refused "a folder without config.json" 66 "no base" config.json -- "${train[@]}" --base "no base"
refused "import of a folder without config.json" 66 "no base" config.json -- import "no base" --output new.h5
copy base "without weights" && rm "without weights/model.safetensors"
refused "a folder without weights" 66 "without weights" model.safetensors -- "${train[@]}" --base "without weights"
copy base "without vocabulary" && rm "without vocabulary/vocab.txt"
refused "a folder without vocab.txt" 66 "without vocabulary" vocab.txt -- "${train[@]}" --base "without vocabulary"
copy "base sharded" "without a shard" && rm "without a shard/model-00002-of-00002.safetensors"
refused "a shard that is missing" 66 model-00002-of-00002.safetensors -- "${train[@]}" --base "without a shard"
refused "a checkpoint that is missing" 66 nowhere.h5 "name a file" -- evaluate --checkpoint nowhere.h5 --test-file test.tsv
refused "a checkpoint to go on from that is missing" 66 nowhere.h5 -- "${train[@]}" --resume nowhere.h5
refused "texts to predict that are missing" 66 nowhere.txt --input -- predict --checkpoint run/model.h5 --input nowhere.txt
refused "a model to export that is missing" 66 nowhere.h5 -- \
  export --checkpoint nowhere.h5 --format hf --output new
refused "a file to inspect that is missing" 66 nowhere.h5 -- inspect nowhere.h5
if [ "$(id -u)" -ne 0 ]; then
  cp train.tsv secret.tsv && chmod 000 secret.tsv
  refused "a training file that may not be read" 66 secret.tsv "denied" -- "${train[@]}" --train-file secret.tsv
else
  echo "skipped a file that may not be read: root may read it"
fi

echo "-- Damaged models"
copy base "cut" && truncate -s 100000 cut/model.safetensors
refused "safetensors cut short" 65 cut/model.safetensors -- "${train[@]}" --base cut
refused "import of safetensors cut short" 65 cut/model.safetensors -- import cut --output new.h5
copy "base bin" "cut bin" && truncate -s 100000 "cut bin/pytorch_model.bin"
refused "pytorch_model.bin cut short" 65 "cut bin/pytorch_model.bin" -- "${train[@]}" --base "cut bin"
: >"cut bin/pytorch_model.bin"
refused "an empty pytorch_model.bin" 65 "cut bin/pytorch_model.bin" empty -- "${train[@]}" --base "cut bin"
head -c 100000 base.h5 >cut.h5
refused "an HDF5 base cut short" 65 cut.h5 bytes -- "${train[@]}" --base cut.h5
cp base.h5 flipped.h5 && flip flipped.h5 90000
refused "an HDF5 base with a wrong bit" 65 flipped.h5 damaged SHA-256 -- "${train[@]}" --base flipped.h5
cp base.h5 seal.h5 && flip seal.h5 20
refused "an HDF5 base with a wrong bit in its seal" 65 seal.h5 damaged -- "${train[@]}" --base seal.h5
refused "a text as the base" 65 train.tsv "bert-ddp" -- "${train[@]}" --base train.tsv
refused "a checkpoint as the base" 65 run/checkpoint-4.h5 base -- "${train[@]}" --base run/checkpoint-4.h5
refused "a base as the checkpoint" 65 base.h5 checkpoint -- evaluate --checkpoint base.h5 --test-file test.tsv
head -c 100000 run/checkpoint-4.h5 >cut-checkpoint.h5
refused "a checkpoint cut short" 65 cut-checkpoint.h5 -- evaluate --checkpoint cut-checkpoint.h5 --test-file test.tsv
cp run/model.h5 flipped-model.h5 && flip flipped-model.h5 70000
refused "a model with a wrong bit" 65 flipped-model.h5 -- predict --checkpoint flipped-model.h5 --input test.tsv
refused "inspecting a model with a wrong bit" 65 flipped-model.h5 -- inspect flipped-model.h5
# Attributes under a seal that fits them: what no decoder is to see, what is JSON and of another kind.
deep=$(printf '[%.0s' {1..513})
nested=$(printf '[%.0s' {1..512})$(printf ']%.0s' {1..512})
for text in "$deep" "$nested"; do
  for name in configuration tokenizer; do
    "$bin/make-fixture" attribute $name "$text" base.h5 attribute.h5
    refused "a base's $name, ${#text} brackets" 65 "attribute.h5, attribute $name" "of the JSON text" -- \
      methods --base attribute.h5
    refused "inspecting a base's $name, ${#text} brackets" 65 "attribute.h5, attribute $name" -- inspect attribute.h5
  done
  "$bin/make-fixture" attribute configuration "$text" run/model.h5 attribute.h5
  refused "a model's configuration, ${#text} brackets" 65 "attribute.h5, attribute configuration" -- \
    predict --checkpoint attribute.h5 --base base --input test.tsv
  refused "inspecting a model's configuration, ${#text} brackets" 65 "attribute.h5, attribute configuration" -- inspect attribute.h5
  "$bin/make-fixture" attribute run_state "$text" run/checkpoint-4.h5 attribute.h5
  refused "a checkpoint's run_state, ${#text} brackets" 65 "attribute.h5, attribute run_state" -- \
    "${train[@]}" --base base.h5 --max-steps 6 --resume attribute.h5
done
"$bin/make-fixture" attribute tokenizer '{"lowercase": true, "lowercase": false}' base.h5 attribute.h5
refused "a base's tokenizer with a key twice" 65 "attribute.h5, attribute tokenizer" lowercase twice -- \
  methods --base attribute.h5
"$bin/make-fixture" attribute tokenizer '[]' base.h5 attribute.h5
refused "a base's tokenizer that is a list" 65 "attribute.h5, attribute tokenizer is not what" -- methods --base attribute.h5
"$bin/make-fixture" attribute run_state '{"step": "four"}' run/checkpoint-4.h5 attribute.h5
refused "a step that is a word" 65 "attribute.h5, attribute run_state is not what" -- \
  "${train[@]}" --base base.h5 --max-steps 6 --resume attribute.h5
lost=bert.encoder.layer.1.intermediate.dense.weight
refused "a tensor of another shape" 65 $lost "[64, 33]" "[64, 32]" -- "${train[@]}" --base "base of another shape"
refused "a tensor with what is no number" 65 "base with no number" bert.embeddings.word_embeddings.weight nan -- \
  "${train[@]}" --base "base with no number"
refused "a tensor with what is no number, imported" 65 "base with no number" bert.embeddings.word_embeddings.weight -- \
  import "base with no number" --output new.h5
refused "tensors of whole numbers" 65 model.safetensors "I32" -- "${train[@]}" --base "base of whole numbers"
refused "a tensor that is missing" 65 "base without a tensor" $lost "[64, 32]" -- \
  "${train[@]}" --base "base without a tensor"
refused "import of a base without a tensor" 65 "base without a tensor" $lost "[64, 32]" -- \
  import "base without a tensor" --output new.h5
refused "import of a base with a tensor of another shape" 65 $lost "[64, 33]" "[64, 32]" -- \
  import "base of another shape" --output new.h5
copy base "other sizes" && sed -i 's/"hidden_size": 32/"hidden_size": 16000000/' "other sizes/config.json"
refused "sizes that no tensor has" 65 "other sizes" word_embeddings "16000000" -- "${train[@]}" --base "other sizes"
mkdir -p "base of evil" && cp base/config.json base/vocab.txt "base of evil"
# What torch.save wrote before version 1.6: a magic number, a version, facts of the machine, then the object.
printf '\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}(X\x0d\0\0\0little_endian\x88u.%b' \
  '\x80\x02cposix\nsystem\nX\x0b\0\0\0touch pwned\x85R.' >"base of evil/pytorch_model.bin"
refused "a pickle that runs something" 65 "base of evil/pytorch_model.bin" "posix system" -- "${train[@]}" --base "base of evil"

echo "-- Configurations and vocabularies"
copy base "no json" && echo 'hidden_size = 32' >"no json/config.json"
refused "config.json that is not JSON" 65 "no json/config.json" JSON -- "${train[@]}" --base "no json"
copy base "roberta" && sed -i 's/"model_type": "bert"/"model_type": "roberta"/' roberta/config.json
refused "another architecture" 65 roberta/config.json model_type '"bert"' -- "${train[@]}" --base roberta
copy base "silu" && sed -i 's/"hidden_act": "gelu"/"hidden_act": "quick_silu"/' silu/config.json
refused "another activation" 65 silu/config.json hidden_act quick_silu gelu -- "${train[@]}" --base silu
copy base "heads" && sed -i 's/"num_attention_heads": 2/"num_attention_heads": 5/' heads/config.json
refused "heads that do not divide the width" 65 heads/config.json num_attention_heads -- "${train[@]}" --base heads
copy base "text size" && sed -i 's/"hidden_size": 32/"hidden_size": "wide"/' "text size/config.json"
refused "a size that is a text" 65 "text size/config.json" hidden_size -- "${train[@]}" --base "text size"
copy base "no cls" && sed -i 's/^\[CLS\]$/[KLS]/' "no cls/vocab.txt"
refused "a vocabulary without [CLS]" 65 "no cls" vocab.txt "[CLS]" -- "${train[@]}" --base "no cls"
copy base "more words" && printf 'word%d\n' 1 2 3 >>"more words/vocab.txt"
refused "a vocabulary larger than vocab_size" 65 "more words" 719 vocab_size 716 -- "${train[@]}" --base "more words"
refused "import with a vocabulary larger than vocab_size" 65 "more words" 719 vocab_size 716 -- \
  import "more words" --output new.h5
refused "import of a vocabulary without [CLS]" 65 "no cls" vocab.txt "[CLS]" -- import "no cls" --output new.h5
copy base "pieces" && sed -i 's/^##/x/; 700s/.*/▁영화/' pieces/vocab.txt
for command in "train --base pieces --train-file train.tsv --output new" "import pieces --output new.h5"; do
  read -ra words <<<"$command"
  refused "${words[0]} with a vocabulary of SentencePiece" 65 "pieces/vocab.txt, line 700" "▁영화" SentencePiece -- "${words[@]}"
done
refused "pretraining on a vocabulary of SentencePiece" 65 "pieces/vocab.txt, line 700" SentencePiece -- \
  pretrain --shape 1,8,2,16 --vocabulary pieces/vocab.txt --train-file train.tsv --output new
copy "without vocabulary" "other tokens"
echo '{"tokenizer_class": "XLMRobertaTokenizer"}' >"other tokens/tokenizer_config.json"
refused "another kind of tokenizer" 65 "other tokens" XLMRobertaTokenizer BertTokenizer -- "${train[@]}" --base "other tokens"
copy base "no words" && : >"no words/vocab.txt"
refused "an empty vocabulary" 65 "no words/vocab.txt" -- "${train[@]}" --base "no words"

echo "-- Data"
data() { refused "$1" "$2" "${@:3}" -- "${train[@]}" --train-file bad.tsv; }
printf 'id\ttext\tlabel\n1\tgood\t1\n' >bad.tsv
data "a table without the text column" 65 "bad.tsv:1" '"document"' '"text"' --text-column
printf 'id\tdocument\tscore\n1\tgood\t1\n' >bad.tsv
data "a table without the label column" 65 "bad.tsv:1" '"label"' '"score"' --label-column
printf 'id,document,label\n1,good,1\n' >bad.tsv
data "a table with commas" 65 "bad.tsv:1" tabs
table '1\tgood\t1' '2\tbad\t2' >bad.tsv
data "a label that is neither 0 nor 1" 65 "bad.tsv:3" '"2"' "0 or 1"
table '1\tgood\tpositive' >bad.tsv
data "a label that is a word" 65 "bad.tsv:2" '"positive"' "0 or 1"
table '1\tgood\t' >bad.tsv
data "a label that is empty" 65 "bad.tsv:2" "0 or 1"
table '1\tgood\t1' '2\tgo\xffod\t1' >bad.tsv
data "a line that is not UTF-8" 65 "bad.tsv:3" 0xff UTF-8
table '1\tgood\t1' '2\tgood' >bad.tsv
data "a line with too few fields" 65 "bad.tsv:3" "2 fields" "expected 3"
table '1\tgo\tod\t1' >bad.tsv
data "a line with too many fields" 65 "bad.tsv:2" "4 fields" "expected 3"
: >bad.tsv
data "an empty file" 65 bad.tsv empty
table | head -n 1 >bad.tsv
data "a header alone" 65 bad.tsv "no reviews"
printf '{"document": "good", "label": 1}\n{"document": "bad" "label": 0}\n' >bad.jsonl
refused "JSON lines with an error" 65 "bad.jsonl:2" -- "${train[@]}" --train-file bad.jsonl
printf '{"document": "good", "label": 1}\n{"text": "bad", "label": 0}\n' >bad.jsonl
refused "JSON lines without the text" 65 "bad.jsonl:2" '"document"' --text-column -- "${train[@]}" --train-file bad.jsonl
table '1\tgood\t1' '2\tbad\t2' >bad.tsv
refused "a test file with a wrong label" 65 "bad.tsv:3" '"2"' -- "${train[@]}" --test-file bad.tsv
refused "evaluation with a label that training had not" 65 "bad.tsv:3" '"2"' "0 or 1" -- \
  evaluate --checkpoint run/model.h5 --test-file bad.tsv
printf '좋은 영화\n' >texts.txt
refused "evaluation of texts without labels" 65 "texts.txt:1" '"document"' -- \
  evaluate --checkpoint run/model.h5 --test-file texts.txt
printf 'go\xffod\n' >texts.txt
printf 'text\tscore\n좋은 영화\t1\n' >bad.tsv
refused "prediction without the text column" 65 "bad.tsv:1" '"document"' --text-column -- \
  predict --checkpoint run/model.h5 --input bad.tsv
refused "evaluation without the label column" 65 "bad.tsv:1" '"label"' --label-column -- \
  evaluate --checkpoint run/model.h5 --test-file bad.tsv --text-column text
refused "prediction of what is not UTF-8" 65 "texts.txt:1" UTF-8 -- predict --checkpoint run/model.h5 --input texts.txt
refused "a model and another base" 65 run/model.h5 "base other" --base -- \
  evaluate --checkpoint run/model.h5 --base "base other" --test-file test.tsv
copy base "base lower-cased" && rm "base lower-cased/tokenizer_config.json"
copy base "base of relu" && sed -i 's/"hidden_act": *"[a-z_]*"/"hidden_act": "relu"/' "base of relu/config.json"
for other in "base lower-cased" "base of relu"; do
  ! diff -rq base "$other" >/dev/null || complain "$other is base"
  refused "a model and its base read otherwise, $other" 65 run/model.h5 "tokenizer or config.json" --base -- \
    predict --checkpoint run/model.h5 --base "$other" --input test.tsv
done

echo "-- Options"
option() { refused "$1" 64 "${@:2}"; }
option "--lora-rank 0" "--lora-rank is 0" -- "${train[@]}" --method lora --lora-rank 0
option "an unknown method" --method '"magic"' lora bitfit -- "${train[@]}" --method magic
option "an unknown target" --lora-targets '"qwery"' query -- "${train[@]}" --method lora --lora-targets qwery
option "a rank beyond reason" "--lora-rank is 1000000000" 65,536 -- "${train[@]}" --method lora --lora-rank 1000000000
option "an unknown option" --learningrate --learning-rate --help -- "${train[@]}" --learningrate 1
option "an unknown command" evalute evaluate -- evalute --checkpoint run/model.h5
option "a word that is no option" "'fast'" --help -- "${train[@]}" fast
option "a number that is none" "'many'" --epochs -- "${train[@]}" --epochs many
option "no epochs" "--epochs is 0" -- "${train[@]}" --epochs 0
option "epochs beyond reason" "--epochs is 9223372036854775807" -- "${train[@]}" --epochs 9223372036854775807
option "a batch beyond reason" --global-batch-size -- "${train[@]}" --global-batch-size 9223372036854775807
option "a learning rate that is no number" --learning-rate nan -- "${train[@]}" --learning-rate nan
option "no threads" "--threads is 0" -- "${train[@]}" --threads 0
option "prediction without threads" "--threads is 0" -- predict --checkpoint run/model.h5 --input test.tsv --threads 0
option "--max-length above the positions" "--max-length is 65" 64 -- "${train[@]}" --max-length 65
# 240 GiB of gradients, a block for each thread.
if [ "$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)" -lt 200000000 ]; then
  refused "more threads than memory has room for" 1 "1024 threads" GiB --threads -- \
    "${train[@]}" --method lora --lora-targets all-linear --lora-rank 65536 --threads 1024
else
  echo "skipped more threads than memory has room for: this machine has room"
fi
option "data without a base" --train-file --base -- train --train-file train.tsv --output new
option "a base without data" --base --train-file -- train --base base --output new
option "a command without what it needs" --checkpoint --help -- evaluate --test-file test.tsv
option "an unknown format" "'onnx'" --format hf -- export --checkpoint run/model.h5 --format onnx --output new
option "an option without its value" --base --help -- train --train-file train.tsv --base

option "going on without a directory" --resume --output -- train --base base --train-file train.tsv --resume auto
option "pretraining that goes on without a directory" --resume --output -- \
  pretrain --base base --train-file train.tsv --resume auto

echo "-- Options in a file"
refused "--config with a file that is missing" 66 nowhere.yaml -- "${train[@]}" --config nowhere.yaml
printf 'method: lora\nlora_targets: [query, value\n' >bad.yaml
refused "--config with a file that is not YAML" 65 bad.yaml: "not YAML" -- "${train[@]}" --config bad.yaml
printf 'method: lora\nlora_rnk: 8\nseed: 2\n' >bad.yaml
refused "--config with an unknown option" 65 bad.yaml:2: lora-rnk lora-rank -- "${train[@]}" --config bad.yaml
printf 'method: lora\nlora_rnk: false\n' >bad.yaml
refused "--config with an unknown flag that is false" 65 bad.yaml:2: lora-rnk -- "${train[@]}" --config bad.yaml
printf 'seed: 2\n' >good.yaml
refused "two --config" 64 --config good.yaml other.yaml -- "${train[@]}" --config good.yaml --config=other.yaml
printf 'seed: 2\nepochs: many\n' >bad.yaml
refused "--config with a number that is none" 65 bad.yaml:2: many --epochs -- "${train[@]}" --config bad.yaml
printf -- '- lora\n' >bad.yaml
refused "--config with a list" 65 bad.yaml "method: lora" -- "${train[@]}" --config bad.yaml

echo "-- Output"
refused "a run directory under a file" 74 train.tsv/new -- "${train[@]}" --output train.tsv/new
refused "a run directory that is a file" 74 train.tsv -- "${train[@]}" --output train.tsv
refused "import into a folder that is not there" 74 nowhere/new.h5 -- import base --output nowhere/new.h5
refused "import under a file" 74 train.tsv/new.h5 -- import base --output train.tsv/new.h5
refused "import over weights" 74 base/model.safetensors --output -- import base --output base/model.safetensors
refused "import over a folder" 74 run -- import base --output run
refused "export over a folder" 74 base "not empty" -- export --checkpoint run/model.h5 --format hf --output base
refused "export under a file" 74 train.tsv/new -- export --checkpoint run/model.h5 --format hf --output train.tsv/new
refused "prediction under a file" 74 train.tsv/new "Not a directory" -- \
  predict --checkpoint run/model.h5 --input test.tsv --output train.tsv/new
for what in --input:test.tsv --checkpoint:run/model.h5 --base:base.h5; do
  cp "${what#*:}" before
  refused "prediction over its ${what%%:*}" 64 "${what#*:}" "${what%%:*} names" -- \
    predict --checkpoint run/model.h5 --base base.h5 --input test.tsv --output "${what#*:}"
  cmp -s before "${what#*:}" || complain "${what#*:} was changed"
  conclude "${what#*:} is as it was"
done
refused "a vocabulary over its texts" 64 test.tsv "--input names" -- vocabulary --input test.tsv --size 100 --output test.tsv
refused "another base over a base of the same name" 64 base.h5 -- import base.h5 --base base.h5 --output base.h5
mkdir mine && printf 'mine\n' >mine/train.tsv
refused "the demo over files of another" 74 mine/train.tsv -- demo --output mine
refused "prediction over a folder" 74 run directory -- \
  predict --checkpoint run/model.h5 --input test.tsv --output run
if [ "$(id -u)" -ne 0 ]; then
  mkdir locked && chmod 555 locked
  refused "a run directory that may not be made" 74 locked/new -- "${train[@]}" --output locked/new
  refused "a run directory that may not be written" 74 locked -- "${train[@]}" --output locked
  refused "import where nothing may be written" 74 locked/new.h5 -- import base --output locked/new.h5
else
  echo "skipped folders that may not be written: root may write there"
fi

echo "-- Run directories"
refused "a run directory of another configuration" 78 run seed --output -- "${train[@]}" --base base.h5 --output run --seed 9
refused "going on with another configuration" 78 run seed -- \
  "${train[@]}" --base base.h5 --output run --seed 9 --resume auto
refused "going on with another base" 78 run "the base" -- "${train[@]}" --base "base other" --output run --resume auto
refused "going on with the base lower-cased" 78 run "the base's vocabulary, tokenizer or config.json" -- \
  "${train[@]}" --base "base lower-cased" --output run --resume auto
refused "going on with other data" 78 run "the training data" -- \
  "${train[@]}" --train-file test.tsv --output run --resume auto
refused "the same run again" 78 run "step 4" "--resume auto" -- "${train[@]}" --base base.h5 --output run
refused "going on in a new place from another configuration" 78 run/checkpoint-4.h5 seed -- \
  "${train[@]}" --seed 9 --resume run/checkpoint-4.h5
refused "going on from a step before the newest" 78 "run holds this run at step 4" run/checkpoint-2.h5 -- \
  "${train[@]}" --base base.h5 --output run --resume run/checkpoint-2.h5
refused "going on from a model" 65 run/model.h5 checkpoint -- "${train[@]}" --resume run/model.h5
refused "a model's folder as the run directory" 78 base/config.json --output -- "${train[@]}" --output base
exec 9<>run/.bert-ddp.lock
flock -n 9
refused "a run directory in use" 78 run "in use" --output -- "${train[@]}" --base base.h5 --output run --resume auto
exec 9>&-

echo "-- Numbers that are not finite"
for count in 1 4; do
  ranks "$count" "${train[@]}" --learning-rate 1e30 --max-steps 20
  holds "status $status, expected 76" [ "$status" -eq 76 ]
  holds "said: $(cat "$err")" [ "$(grep -cE '^(error|bert-ddp): .* at step [0-9]+ .*train.tsv.*--learning-rate' "$err")" -eq 1 ]
  holds "a model all the same" [ ! -e new/model.h5 ]
  conclude "a learning rate that leads nowhere, $(of "$count")"
  rm -rf new
  ranks "$count" "${train[@]}" --learning-rate 1e30 --warmup-ratio 0 --max-steps 1 --test-file test.tsv
  holds "status $status, expected 76" [ "$status" -eq 76 ]
  holds "said: $(cat "$err")" [ "$(grep -cE '^(error|bert-ddp): the loss of the test reviews is .*--learning-rate' "$err")" -eq 1 ]
  conclude "a model that is lost with its last step, $(of "$count")"
  rm -rf new
done

echo "-- A damaged checkpoint is passed over"
for count in 1 4; do
  rm -rf again && cp -r run again && truncate -s 100000 again/checkpoint-4.h5
  succeed "$count" "${train[@]}" --base base.h5 --output again --resume auto --max-steps 4
  holds "no warning: $(cat "$err")" [ "$(grep -c '^warning: .*again/checkpoint-4.h5' "$err")" -eq 1 ]
  holds "not from step 2: $(cat "$out")" grep -q "going on from step 2 of 4" "$out"
  conclude "the newest is damaged, $(of "$count")"
done
truncate -s 100000 again/checkpoint-*.h5
succeed 1 "${train[@]}" --base base.h5 --output again --resume auto --max-steps 4
holds "no two warnings: $(cat "$err")" [ "$(grep -c '^warning: .*again/checkpoint-[24].h5' "$err")" -eq 2 ]
conclude "all are damaged: from the start"

if [ "$(uname -m)" = x86_64 ]; then
  rm -rf again && cp -r run again && rm again/checkpoint-4.h5
  succeed 1 "${train[@]}" --base base.h5 --output again --resume auto --max-steps 3
  holds "a warning of the same products: $(cat "$err")" [ "$(grep -c multiplied "$err")" -eq 0 ]
  rm -rf again && cp -r run again && rm again/checkpoint-4.h5
  OPENBLAS_CORETYPE=Nehalem succeed 1 "${train[@]}" --base base.h5 --output again --resume auto --max-steps 4
  holds "no warning: $(cat "$err")" [ "$(grep -c '^warning: up to step 2 .* multiplied, from here on ' "$err")" -eq 1 ]
  conclude "going on where other kernels multiply is said"
fi
rm -rf again && cp -r run again
for steps in 4 8; do
  succeed 1 "${train[@]}" --base base.h5 --output again --resume auto --max-steps "$steps" --epochs 9
  said=$(grep -c '^warning: the learning rate was to fall over 4 steps, and now does over 8: in step 5 it is ' "$err" || true)
  holds "of $steps steps in place of 4 it said: $(cat "$err")" [ "$said" -eq $((steps / 8)) ]
done
conclude "going on along another schedule is said"

echo "-- Odd but good"
# The metrics of a variant of the test file are those of the file itself.
same() { # NAME FILE
  succeed "$count" evaluate --json --checkpoint run/model.h5 --test-file "$2"
  cmp -s "$out" expected.json || complain "metrics differ: $(diff expected.json "$out" | head -n 5)"
  conclude "$1, $(of "$count")"
}
succeed 1 evaluate --json --checkpoint run/model.h5 --test-file test.tsv
cp "$out" expected.json
holds "not 61 reviews: $(cat expected.json)" grep -q '"reviews" : 61' expected.json
conclude "metrics of the test file"
sed 's/$/\r/' test.tsv >crlf.tsv
head -c -1 test.tsv >unended.tsv
{ printf '\xef\xbb\xbf'; cat test.tsv; } >marked.tsv
{ cat test.tsv; printf '\n\n'; } >spaced.tsv
sed 's/^\([^\t]*\)\t\([^\t]*\)\t\(.*\)$/\3\t\1\t\2/' test.tsv >turned.tsv
for count in 1 4; do
  same "lines that end in CR LF" crlf.tsv
  same "no line end at the end" unended.tsv
  same "a byte order mark" marked.tsv
  same "empty lines at the end" spaced.tsv
  same "columns in another order" turned.tsv
done
succeed 1 import "base with a buffer" --output buffered.h5
tensors base.h5 | sort >"$scratch/one"
tensors buffered.h5 | sort >"$scratch/two"
holds "other tensors: $(diff "$scratch/one" "$scratch/two")" cmp -s "$scratch/one" "$scratch/two"
conclude "a buffer of whole numbers is left out"
table '1\t"good\t1' '2\t\t0' '3\t"a" "b"\t1' '4\t  \t0' >odd.tsv
for count in 1 4; do
  succeed "$count" evaluate --json --checkpoint run/model.h5 --test-file odd.tsv
  holds "not four reviews: $(cat "$out")" grep -q '"reviews" : 4' "$out"
  succeed "$count" "${train[@]}" --train-file odd.tsv --output odd
  holds "empty ones are not counted: $(cat "$out")" grep -q '4 reviews, classes 2 / 2, 2 empty' "$out"
  conclude "quotes are text, empty texts are kept and counted, $(of "$count")"
  rm -r odd
done

echo "-- Warned of"
# Complains unless warnings of a command are one, with these words; that ranks share cores is this machine's matter.
warned() { # WORD…
  local word
  sed -i '/^warning: .* share [0-9]* cores\{0,1\};/d' "$err"
  holds "not one warning: $(cat "$err")" [ "$(grep -c '^warning: ' "$err")" -eq 1 ]
  for word in "$@"; do holds "no \"$word\": $(cat "$err")" grep -qF -- "$word" "$err"; done
}
copy base shallow && sed -i 's/"num_hidden_layers": 2/"num_hidden_layers": 1/' shallow/config.json
copy base "case unsaid" && rm "case unsaid/tokenizer_config.json" && sed -i '716s/.*/Film/' "case unsaid/vocab.txt"
for count in 1 4; do
  succeed "$count" import shallow --output shallow.h5
  warned shallow "16 tensors of layer 1," num_hidden_layers
  for source in shallow shallow.h5; do
    succeed "$count" "${train[@]}" --base "$source" --output odd
    warned "$source" "16 tensors of layer 1," num_hidden_layers
    rm -r odd
  done
  conclude "layers that are not used, $(of "$count")"
  succeed "$count" import "case unsaid" --output odd.h5
  warned "case unsaid" do_lower_case "1 tokens"
  holds "no tokenizer: $(cat "$out")" grep -q '^tokenizer: 716 tokens, lower-cases, strips accents' "$out"
  succeed "$count" "${train[@]}" --base "case unsaid" --output odd
  warned "case unsaid" do_lower_case
  holds "no tokenizer: $(cat "$out")" grep -qE '^ *tokenizer +716 tokens, lower-cases, strips accents' "$out"
  rm -r odd
  conclude "lower-casing that no file asks for, $(of "$count")"
  for method in lora linear-probe adapter full; do
    succeed "$count" "${train[@]}" --base "base without a pooler" --method "$method" --output odd
    holds "not said: $(cat "$out")" grep -q '^started at random: .*bert\.pooler\.dense' "$out"
    if [ "$method" = full ]; then
      ! grep 'bert\.pooler' "$err" || complain "a warning of what is trained"
    else
      warned bert.pooler.dense "$method" "--method full"
    fi
    rm -r odd
  done
  conclude "a pooler that no file brings and nobody trains, $(of "$count")"
done

echo "-- Nobody reads the output"
# Runs the program with an output that is closed at once. What mpirun makes of that is not ours: it ignores SIGPIPE.
unread() { # RANKS ARGUMENT…
  local ignore=
  start_on "$1"
  if [ "$1" -gt 1 ]; then ignore="trap '' PIPE;"; fi
  # shellcheck disable=SC2016 # for the other shell
  observe bash -c "$ignore"' "$@" | true; exit "${PIPESTATUS[0]}"' - "${start[@]}" "${@:2}"
}
unread 1 predict --quiet --checkpoint run/model.h5 --input test.tsv
holds "status $status, expected 74" [ "$status" -eq 74 ]
holds "said: $(cat "$err")" grep -q '^error: standard output' "$err"
conclude "prediction into a closed pipe, 1 rank"
# mpirun takes all that ranks write and does not tell them that nobody reads it.
unread 4 predict --quiet --checkpoint run/model.h5 --input test.tsv
conclude "prediction into a closed pipe, 4 ranks"
for count in 1 4; do
  # mpirun itself gives up when it has written into the pipe ten times, which is a matter of how lines come together.
  for _ in 1 2 3; do
    rm -rf new
    unread "$count" "${train[@]}"
    grep -q 'mpirun: SIGPIPE detected' "$err" || break
  done
  holds "status $status: $(cat "$err")" [ "$status" -eq 0 ]
  holds "no model" [ -e new/model.h5 ]
  conclude "training goes on when nobody looks, $(of "$count")"
done

report
