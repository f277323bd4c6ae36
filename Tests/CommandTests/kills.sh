#!/usr/bin/env bash
# Ranks and jobs that are killed: in a save, at any step, again and again, and gone on with on any number of ranks. After
# each the newest checkpoint is valid, nothing stays behind, and the model at the end has the bits of a run that nothing
# befell (--deterministic).
#
#   Tests/CommandTests/kills.sh [FOLDER OF THE PROGRAMS]    CHAOS and CHAOS_SEED as in lib/runs.sh
set -euo pipefail

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$here/lib/checks.sh" "$@"
# shellcheck source=Tests/CommandTests/lib/runs.sh
. "$here/lib/runs.sh"
saves=$(often 30 500) killings=$(often 10 100) loops=$(often 6 40)
# Enough steps that no run is over before it has been killed as often as it is to be.
train_for "$(often 400 4000)"
# Seconds that an mpirun may take to end when a rank is lost; a busy machine is given more.
soon=10

# Kills (or stops) processes of a job at a random moment after its next checkpoint, and waits for the job's end.
strike() { # SIGNAL RANKS VICTIM DIRECTORY SECONDS OPTION…
  local before debris victims
  before=$(newest "$4")
  begin "$2" "${train[@]}" --output "$4" --resume auto "${@:6}"
  wait_beyond "$4" "${before:-0}"
  sleep "0.0$((RANDOM % 90 + 10))"
  debris=$(buffers)
  case $3 in
  mpirun) victims=$job ;;
  all) victims="$(rank_processes) $job" ;;
  *) victims=$(rank_process "$3") ;;
  esac
  for victim in $victims; do kill -"$1" "$victim" 2>/dev/null || true; done
  await_end "$5"
  sweep "$debris"
  [ "$status" -ne 0 ] || [ -e "$4/model.h5" ] || complain "status 0 and no model"
  if [ -e "$4/model.h5" ]; then complain "$4 was over before it was killed"; fi
}
# The newest file by name must be whole: what was renamed was finished.
newest_is_valid() { # DIRECTORY
  "$program" inspect "$1/checkpoint-$(newest "$1").h5" >/dev/null 2>"$err" || complain "$(cat "$err")"
}

undisturbed whole

echo "-- Rank 0, killed in a save"
# A checkpoint after every step: nearly all of the time a save is under way.
in_saves=0
for round in $(seq "$saves"); do
  strike KILL $((round % 3 + 1)) 0 saves "$soon" --checkpoint-every 1
  newest_is_valid saves
  if [ -n "$(find saves -name '*.tmp-*')" ]; then in_saves=$((in_saves + 1)); fi
done
finish_on $((RANDOM % 2 + 1)) saves
holds "half-written: $(ls -A saves)" [ -z "$(find saves -name '*.tmp-*')" ]
conclude "SIGKILL of rank 0 while it saves, $saves times ($in_saves left a file half-written): the newest is valid, the end exact"

echo "-- Another rank, at any step"
for signal in KILL SEGV STOP; do
  # A rank that is stopped is missed after 2 s, or after six times as long where files are written.
  if [ "$signal" = STOP ]; then limit_of_end=$((soon + 12)); else limit_of_end=$soon; fi
  for round in $(seq "$killings"); do
    count=$((RANDOM % 3 + 2))
    strike "$signal" "$count" $((RANDOM % (count - 1) + 1)) "by $signal" "$limit_of_end" --stall-timeout 2
    holds "round $round: status $status" [ "$status" -ne 0 ]
    if [ "$signal" = STOP ]; then holds "round $round: status $status, expected 75" [ "$status" -eq 75 ]; fi
  done
  newest_is_valid "by $signal"
  finish_on $((RANDOM % 2 + 1)) "by $signal"
  conclude "SIG$signal of another rank, $killings times: mpirun ends within $limit_of_end s, nobody stays behind, the end is exact"
done

echo "-- Whole jobs, again and again"
for round in $(seq "$loops"); do
  case $((RANDOM % 3)) in
  0) strike KILL $((RANDOM % 4 + 1)) mpirun loop 20 ;;
  1) strike KILL $((RANDOM % 4 + 1)) all loop 20 ;;
  2) strike SEGV $((RANDOM % 4 + 1)) 0 loop "$soon" ;;
  esac
done
finish_on $((RANDOM % 2 + 1)) loop
holds "half-written: $(ls -A loop)" [ -z "$(find loop -name '*.tmp-*')" ]
conclude "mpirun, all processes or a rank killed every second or two, $loops times: the end is exact"

echo "-- From any number of ranks to any other"
train_for 60
undisturbed "short"
succeed 4 "${train[@]}" --output "on 4" --threads 2
same_end "on 4"
conclude "the same on 4 ranks of 2 threads, bit for bit"
succeed 1 "${train[@]}" --output "another" --seed 2
holds "another seed has the same bits" [ "$(digest another/model.h5)" != "$expected" ]
conclude "another seed has other bits: this can be told"
numbers short/metrics.jsonl epoch loss >"$scratch/one"
for from in 1 2 3 4; do
  begin "$from" "${train[@]}" --output "from $from" --checkpoint-every 7
  wait_beyond "from $from" 7
  kill -USR1 "$job"
  await_end 12
  holds "status $status, expected 75: $(cat "$err")" [ "$status" -eq 75 ]
  pairs=
  for to in 1 2 3 4; do
    rm -rf "pair" && cp -r "from $from" pair
    finish_on "$to" pair
    pairs+=" $from→$to"
    # The sum of an epoch's losses: of every review once.
    numbers pair/metrics.jsonl epoch loss >"$scratch/two"
    holds "other losses" cmp -s "$scratch/one" "$scratch/two"
  done
  conclude "stopped within an epoch and gone on with:$pairs, the end is exact"
done

report
