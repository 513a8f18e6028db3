#!/usr/bin/env bash
# Installs what the build needs, as Debian packages; --python, --lint and --fuzz add what scripts/test.sh, scripts/lint.sh
# and scripts/fuzz.sh use beside it. Does nothing about what is already there.
set -euo pipefail
packages=(g++ cmake ninja-build ccache pkg-config libdnnl-dev libyaml-cpp-dev libspdlog-dev libfmt-dev libcli11-dev
          libarchive-dev libjpeg-dev libpng-dev zlib1g-dev libcairo2-dev fonts-dejavu-core nlohmann-json3-dev libxxhash-dev
          libeigen3-dev libboost-math-dev libboost-context-dev libgtest-dev libgmock-dev
          libicu-dev libpcre2-dev libsentencepiece-dev
          ocl-icd-opencl-dev)  # this one because oneDNN's CMake files look for it
case ${1:-} in
  --python) packages+=(python3 python3-venv) ;;
  --lint) packages+=(clang-format clang-tidy shellcheck) ;;
  --fuzz) packages+=(clang libclang-rt-dev libomp-dev) ;;
esac
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "installing: ${missing[*]}"
run=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "these Debian packages are missing, and only root can install them: ${missing[*]}" >&2; exit 2; }
  run=(sudo)
fi
"${run[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${run[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
