# shellcheck shell=bash
# Makes sure that what a build needs is there, and builds; sourced after common.sh.

: "${root:?is set by common.sh}"
# shellcheck source=launch/lib/march.sh
. "$root/launch/lib/march.sh"

# Open MPI, OpenBLAS and HDF5 to build against and to run with; pkg-config tells SwiftPM where they are.
debian_packages=(libopenmpi-dev openmpi-bin libopenblas-dev libhdf5-dev pkg-config)
# oneDNN, which is looked for when the program runs: quicker products on processors with AVX-512, and "--precision bf16".
optional_packages=(libdnnl-dev)

# The test is whether the libraries can be found, not whether dpkg installed them: a cluster's modules are as good.
has_libraries() {
  command -v mpirun >/dev/null && command -v pkg-config >/dev/null && pkg-config --exists ompi-c openblas hdf5
}

# Installs the Debian packages unless all libraries are there; asks sudo for the password where it has to.
install_libraries() {
  if has_libraries; then
    # /sbin is not on everybody's PATH; on a cluster libraries are elsewhere.
    local known
    known=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null) || known=
    if grep -qs avx512f /proc/cpuinfo && [ -n "$known" ] && [[ $known != *libdnnl.so* ]] &&
      [ -z "${LD_LIBRARY_PATH:-}" ]; then
      say "oneDNN (${optional_packages[*]}) is not installed: products will be slower, and --precision bf16 needs it"
    fi
    return
  fi
  local packages=${debian_packages[*]}
  command -v apt-get >/dev/null || die "Open MPI, OpenBLAS or HDF5 is missing and this machine has no apt-get;" \
    "install them with their headers and pkg-config files (ompi-c, openblas, hdf5), and start this again"
  local -a as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "the packages $packages are missing and can be installed only by root, but there" \
      "is no sudo here; have them installed with \"apt-get install $packages\", and start this again"
    as_root=(sudo)
  fi
  say "Installing $packages"
  # A lock held by the machine's own updates is waited for; questions of packages get their default answer.
  as_root+=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q -y)
  "${as_root[@]}" update || die "apt-get update did not succeed; see above"
  "${as_root[@]}" install --no-install-recommends "${debian_packages[@]}" </dev/null ||
    die "the packages $packages could not be installed; see above"
  "${as_root[@]}" install --no-install-recommends "${optional_packages[@]}" </dev/null ||
    say "${optional_packages[*]} could not be installed; all but --precision bf16 works without, slower on processors with AVX-512"
  has_libraries || die "the packages are installed, but pkg-config does not find ompi-c, openblas and hdf5"
}

# Refuses a missing or too old Swift with a sentence: 6.2 builds the program, 6.3 its tests too.
check_swift() { # MINOR
  local minor=$1
  local where="see https://www.swift.org/install/linux for the toolchain of your system"
  command -v swift >/dev/null || die "there is no swift on the PATH; Swift 6.$minor or newer is needed: $where"
  local version
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
  [[ $version =~ ^([0-9]+)\.([0-9]+)$ ]] || die "\"swift --version\" does not tell its version; $where"
  if ((BASH_REMATCH[1] < 6 || (BASH_REMATCH[1] == 6 && BASH_REMATCH[2] < minor))); then
    die "this is Swift $version; Swift 6.$minor or newer is needed: $where"
  fi
}

# Builds in release for the chosen processor; the arguments are those of "swift build".
build() {
  choose_march || exit 1
  if [ -e "$root/.build" ] && [ ! -w "$root/.build" ]; then
    die "$root/.build belongs to another user (was it built with sudo?); remove it, and start this again"
  fi
  say "Building for $march (BERT_DDP_MARCH=portable builds for any processor of this architecture)"
  local linking=()
  if [ -n "${BERT_DDP_STATIC:-}" ]; then linking+=(--static-swift-stdlib); fi
  swift build --package-path "$root" -c release "${march_flags[@]}" "${linking[@]}" "$@"
}
