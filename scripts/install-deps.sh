#!/usr/bin/env bash
# Installs the Debian packages that building and testing need (with --bench, also those of the gateway benchmark,
# with --leak those of the leak rig, with --compat those of the clients in Node, unless there is an npm, with --vulkan
# those of the engine on Vulkan, and a driver that needs no GPU).
# Says what it installs; does nothing where all are there, or where there is no dpkg.
set -euo pipefail

# llama.cpp is built with cmake and a C++ compiler, its bindings with libclang; the SDK checks live in a Python environment.
packages=(clang cmake g++ libclang-dev make pkg-config python3-venv)
for argument in "$@"; do
    case "$argument" in
        --bench) packages+=(nginx-light python3 util-linux wrk) ;;
        --leak) packages+=(iproute2 python3) ;;
        --compat) command -v npm >/dev/null || packages+=(nodejs npm) ;;
        --vulkan) packages+=(curl glslc libvulkan-dev mesa-vulkan-drivers spirv-headers) ;;
        *) echo "usage: $0 [--bench] [--leak] [--compat] [--vulkan]" >&2 && exit 2 ;;
    esac
done

if ! command -v dpkg-query >/dev/null; then
    echo "not Debian: please see to the equivalents of ${packages[*]}" >&2
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    status="$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)"
    [[ "$status" == installed ]] || missing+=("$package")
done
((${#missing[@]} == 0)) && exit 0

as_root=()
((EUID == 0)) || as_root=(sudo)
echo "installing Debian packages: ${missing[*]}"
"${as_root[@]}" apt-get update --quiet=2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}"
