#!/usr/bin/env bash
# Chooses the processor level to build for: the machine that this runs on, unless BERT_DDP_MARCH says otherwise.
#
#   launch/lib/march.sh             prints x86-64-v4, x86-64-v3 or portable
#   . launch/lib/march.sh           defines choose_march, which sets march and march_flags
#
#   BERT_DDP_MARCH=portable         any processor of this architecture: for a cluster of mixed machines
#   BERT_DDP_MARCH=x86-64-v3, …     any name that clang's -march takes
#
# A level rather than "native": its vector width is what counts, and a name can be compared and read in a log.

# Whether every word is among the flags that the kernel reports for the first processor.
has_cpu_flags() {
  local flags flag
  flags=" $(sed -n 's/^flags[[:space:]]*: //p;T;q' /proc/cpuinfo 2>/dev/null) "
  for flag in "$@"; do
    [[ $flags == *" $flag "* ]] || return 1
  done
}

# The highest level whose instructions this machine has (x86-64 psABI, "micro-architecture levels").
machine_march() {
  if [ "$(uname -m)" != x86_64 ]; then
    echo portable # On arm64 the baseline already has what the kernels use (NEON and fused multiply-add).
  elif ! has_cpu_flags avx avx2 bmi1 bmi2 f16c fma abm movbe xsave; then
    echo portable
  elif ! has_cpu_flags avx512f avx512bw avx512cd avx512dq avx512vl; then
    echo x86-64-v3
  else
    echo x86-64-v4
  fi
}

# Sets march to the level in use and march_flags to what "swift build" has to be given for it.
choose_march() {
  march=${BERT_DDP_MARCH:-$(machine_march)}
  if [[ ! $march =~ ^[A-Za-z0-9._+-]+$ ]]; then
    printf 'error: BERT_DDP_MARCH is "%s"; it takes portable, x86-64-v3, x86-64-v4 or another -march of clang\n' \
      "$march" >&2
    return 1
  fi
  # The Swift compiler takes its processor from clang's, so that this holds for Swift and C alike.
  # shellcheck disable=SC2034 # for the scripts that source this one
  if [ "$march" = portable ]; then march_flags=(); else march_flags=(-Xcc "-march=$march"); fi
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -euo pipefail
  choose_march
  echo "$march"
fi
