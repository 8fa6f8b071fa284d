#!/usr/bin/env bash
# Shows that layers are offloaded through Vulkan, without a GPU: on Mesa's driver that computes on the CPU (Debian 12 or 13).
# Takes some minutes, most of them to compile llama.cpp's shaders. Cargo builds where it always does.
set -euo pipefail
cd "$(dirname "$0")/.."

# llama.cpp needs Vulkan's headers of 1.4; Debian 12 has 1.3, so those of Debian 13 are unpacked beside what is built.
headers_url=http://deb.debian.org/debian/pool/main/v/vulkan-loader/libvulkan-dev_1.4.309.0-1_amd64.deb
headers_sha256=8d329d465e16168afff58b1bd0dd6db46aac2cc3f56054a481b25a04e90b345a
built="${CARGO_TARGET_DIR:-target}"

scripts/install-deps.sh --vulkan
if ! grep -q VK_API_VERSION_1_4 /usr/include/vulkan/vulkan_core.h; then
    headers="$(realpath -m "$built/vulkan-headers")"
    mkdir -p "$headers"
    [[ -e "$headers.deb" ]] || curl --fail --silent --show-error --location --output "$headers.deb" "$headers_url"
    sha256sum --check --quiet <<<"$headers_sha256  $headers.deb"
    dpkg --extract "$headers.deb" "$headers"
    export CMAKE_INCLUDE_PATH="$headers/usr/include"
fi

cargo test --locked --features vulkan --test engine --no-run
"$built/debug/ajar" models pull smollm2-135m

# llama.cpp takes a driver that computes on the CPU only if told to.
run() {
    env "${@:2}" cargo test --locked --features vulkan --test engine -- --ignored --exact --nocapture "gpu::$1"
}
run what_layers_on_a_device_compute_reads_as_on_the_cpu GGML_VK_VISIBLE_DEVICES=0
run a_device_that_is_not_there_is_refused_with_those_that_are GGML_VK_VISIBLE_DEVICES=0
run what_does_not_get_onto_a_device_is_computed_by_the_cpu_where_that_may_be GGML_VK_VISIBLE_DEVICES=0 GGML_VK_FORCE_MAX_BUFFER_SIZE=1000000
run where_there_is_no_device_the_cpu_computes_unless_layers_were_insisted_on GGML_VK_VISIBLE_DEVICES=
