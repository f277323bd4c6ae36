#!/usr/bin/env bash
# Files and disks that fail: damaged checkpoints, bases and models, another run's checkpoint, full and failing disks.
# Nothing damaged is loaded, what was saved stays, and the run goes on to the bits of one that nothing befell.
#
#   Tests/CommandTests/disks.sh [FOLDER OF THE PROGRAMS]    CHAOS and CHAOS_SEED as in lib/runs.sh
set -euo pipefail

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$here/lib/checks.sh" "$@"
# shellcheck source=Tests/CommandTests/lib/runs.sh
. "$here/lib/runs.sh"

undisturbed whole
succeed 1 import base --output base.h5

echo "-- Damaged files"
flips=$(often 200 10000)
for file in whole/checkpoint-*.h5 base.h5 whole/model.h5; do
  observe "$bin/make-fixture" damage "$((flips / 4 + 1))" "${CHAOS_SEED:-1}" "$file" whole/model.h5 base.h5
  holds "status $status: $(cat "$out" "$err")" [ "$status" -eq 0 ]
  conclude "$file: $(tr '\n' ' ' <"$out")"
done

# Copies of a run with two checkpoints, the newest of them damaged in some way.
begin 2 "${train[@]}" --output two
wait_beyond two 40
kill -USR1 "$job"
await_end 12
newest=$(newest two)
damage() { # NAME COMMAND…
  rm -rf damaged && cp -r two damaged
  local file=damaged/checkpoint-$newest.h5
  "${@:2}" "$file"
  succeed 2 "${train[@]}" --output damaged --resume auto
  holds "no warning: $(cat "$err")" [ "$(grep -c "^warning: passing over a checkpoint: $file" "$err")" -eq 1 ]
  same_end damaged
  conclude "$1: passed over, and the undisturbed run's bits"
}
flip_anywhere() { flip "$1" $(((RANDOM * 32768 + RANDOM) % $(stat -c %s "$1"))); }
zero_tail() { truncate -s "$(($(stat -c %s "$1") - 4096))" "$1" && truncate -s "+4096" "$1"; }
damage "a flipped bit" flip_anywhere
damage "cut short" truncate -s 100000
damage "a tail of zeros" zero_tail
damage "an empty file" truncate -s 0

rm -rf damaged && cp -r two damaged
succeed 1 "${train[@]}" --output another --seed 2 --epochs 2
cp another/checkpoint-10.h5 damaged/checkpoint-99999.h5
ranks 2 "${train[@]}" --output damaged --resume auto
holds "it went on: $(cat "$out" "$err")" [ "$status" -eq 0 ]
same_end damaged
conclude "another run's old checkpoint under a new name: its own step counts, not its name's"
rm -rf damaged && cp -r two damaged
succeed 1 "${train[@]}" --output yet --seed 2
cp yet/checkpoint-500.h5 damaged/
ranks 2 "${train[@]}" --output damaged --resume auto
holds "status $status, expected 78" [ "$status" -eq 78 ]
holds "said: $(cat "$err")" grep -q "damaged/checkpoint-500.h5 belongs to a configuration that differs in seed" "$err"
conclude "another run's checkpoint that is the newest: refused, naming what differs"

echo "-- Disks"
before=$(newest two)
# A file of a rank may have 200 KiB, a checkpoint has more; mpirun's own files are not meant.
# shellcheck disable=SC2016 # for the other shell
limited=(bash -c 'ulimit -f 200; exec "$@"' - "$program")
for count in 1 2; do
  rm -rf full && cp -r two full
  if [ "$count" -gt 1 ]; then start=(mpirun -np "$count" "${limited[@]}"); else start=("${limited[@]}"); fi
  observe "${start[@]}" "${train[@]}" --output full --resume auto
  holds "status $status, expected 74: $(head -c 500 "$err")" [ "$status" -eq 74 ]
  holds "said: $(cat "$err")" [ "$(grep -cE '^(error|bert-ddp): full/checkpoint-[0-9]+\.h5 could not be written: .* bytes' "$err")" -eq 1 ]
  holds "the last checkpoint is gone: $(ls full)" [ -e "full/checkpoint-$before.h5" ]
  holds "half-written: $(ls -A full)" [ -z "$(find full -name '*.tmp-*')" ]
  finish_on $((3 - count)) full
  conclude "files may not be so large, $(of "$count"): status 74, the last checkpoint stands, and it goes on"
done
if [ "$(id -u)" -eq 0 ] && unshare --mount true 2>/dev/null; then
  mkdir -p disk
  # What is free beside the run is filled up.
  # shellcheck disable=SC2016 # for the other shell
  observe unshare --mount bash -c '
    mount -t tmpfs -o size=4m none disk && cp -r two disk/run || exit 99
    head -c 4000000 /dev/zero >disk/filler 2>/dev/null
    status=0
    "$@" --output disk/run --resume auto || status=$?
    rm -f disk/filler
    [ "$status" -eq 74 ] || exit $((status + 1))
    umount -l disk 2>/dev/null
    exit 74' - mpirun -np 2 "$program" "${train[@]}"
  holds "status $status, expected 74: $(head -c 500 "$err")" [ "$status" -eq 74 ]
  conclude "a full disk: status 74"
else
  echo "skipped a full disk: mounting needs rights that this user has not"
fi

# Calls that fail as on a bad disk, on every rank, from the start: the lock is short and is written all the same.
for reason in ENOSPC EIO EDQUOT; do
  rm -rf full && cp -r two full
  ranks_with=(mpirun -np 2 "$bin/make-fixture" failing write "$reason" "$program")
  observe "${ranks_with[@]}" "${train[@]}" --output full --resume auto
  holds "status $status, expected 74: $(head -c 500 "$err")" [ "$status" -eq 74 ]
  holds "said: $(cat "$err")" [ "$(grep -cE '^(error|bert-ddp): full/checkpoint-[0-9]+\.h5 could not be written: .*bytes' "$err")" -eq 1 ]
  holds "the last checkpoint is gone: $(ls full)" [ -e "full/checkpoint-$before.h5" ]
  holds "half-written: $(ls -A full)" [ -z "$(find full -name '*.tmp-*')" ]
  finish_on 2 full
  conclude "writes end with $reason, 2 ranks: status 74, the last checkpoint stands, and it goes on"
done

report
