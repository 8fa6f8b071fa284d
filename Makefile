# What can be done here; `make` lists it.
MODEL := smollm2-135m
# Where cargo builds.
BUILT := $(or $(CARGO_TARGET_DIR),target)
# What is fuzzed, and for how long: see the targets in fuzz/Cargo.toml.
TARGET := policy_file
SECONDS := 600
DICTIONARY = fuzz/$(if $(filter policy_file expression yaml,$(TARGET)),policy,openai).dict
# The test of `make compat`.
CLIENTS := clients::client_libraries_and_frameworks_talk_to_every_provider_and_the_embedded_model
NEXTEST := $(shell cargo nextest --version >/dev/null 2>&1 && echo yes)

# What leaves is measured in network namespaces, which need root.
ROOT := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=AJAR_DATA,AJAR_LEAK_MAY_SKIP)

.DEFAULT_GOAL := help
# How many requests `make api` sends, about.
CASES := 20000

.PHONY: help deps models demo run test compat api leak leak-short evasion bench bench-local check-embeddings check-vulkan fuzz mutants eval-entities lint fmt image

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install the Debian packages that the build needs, if missing
	@scripts/install-deps.sh

# The build is not quiet: the first one compiles llama.cpp, and minutes of silence look like a hang.
models: deps ## fetch the small default model, if missing
	cargo build --release --locked --bin ajar
	cargo run --release --quiet --locked -- models pull $(MODEL)

# Program and example are built at once: one after the other they would not share features, and llama.cpp would be
# compiled twice. So are the tests and the program that fetches their model.
demo: deps ## show the gateway at work: a local model, a simulated closed one, fourteen prompts
	cargo build --release --locked --bin ajar --example demo
	$(BUILT)/release/ajar models pull $(MODEL)
	cargo run --release --quiet --locked --example demo

run: models ## serve with config/ajar.yaml
	cargo run --release --quiet -- serve --config config/ajar.yaml

test: ## run all tests, the leak rig's included; those of client libraries are `make compat`
	@scripts/install-deps.sh --leak
	cargo test --locked --no-run
	$(BUILT)/debug/ajar models pull $(MODEL)
ifeq ($(NEXTEST),yes)
	cargo nextest run --locked --profile $(if $(CI),ci,default)
	cargo test --locked --doc
else
	cargo test --locked
endif
	python3 tests/leak/test_rig.py
	AJAR_LEAK_MAY_SKIP=1 python3 tests/leak short --ajar $(BUILT)/debug/ajar

# Installs some 130 Python packages and a few of Node's, into the target folder and tests/sdk.
compat: ## run client libraries and frameworks against simulated providers and the embedded model, and write the table
	@scripts/install-deps.sh --compat
	cargo test --locked --no-run
	$(BUILT)/debug/ajar models pull $(MODEL)
	scripts/sdk-venv.sh
	cargo test --locked --test gateway -- --ignored --exact $(CLIENTS)

api: deps ## send what docs/openapi.json allows, and what it forbids, to a running gateway (schemathesis; CASES=20000)
	cargo build --locked --no-default-features --bin ajar --example provider_sim
	python3 -m venv $(BUILT)/api-venv
	$(BUILT)/api-venv/bin/pip install --quiet --disable-pip-version-check -r tests/api/requirements.txt
	python3 tests/api --ajar $(BUILT)/debug/ajar --simulator $(BUILT)/debug/examples/provider_sim \
		--schemathesis $(BUILT)/api-venv/bin/schemathesis --cases $(CASES)

# Without the engine, which it does not need. Where no namespaces can be made it says so and ends with 77.
leak-short: ## show in short that nothing private leaves (network namespaces, root)
	@scripts/install-deps.sh --leak
	python3 tests/leak/test_rig.py
	cargo build --locked --no-default-features --bin ajar
	$(ROOT) python3 tests/leak short --ajar $(BUILT)/debug/ajar --report $(BUILT)/leak-short.md

leak: ## show it at length: more than 100,000 requests
	@scripts/install-deps.sh --leak
	cargo build --release --locked --no-default-features --bin ajar
	$(ROOT) python3 tests/leak long --ajar $(BUILT)/release/ajar --report $(BUILT)/leak.md

evasion: ## write every identifier in every encoding of every encoding: all must be found
	AJAR_EVASION=long cargo test --release --locked --no-default-features --test evasion

bench: deps ## measure the gateway beside nginx
	@scripts/install-deps.sh --bench
	scripts/bench.sh

bench-local: deps ## measure the engine beside llama.cpp's own server: LLAMA_SERVER=… MODEL=….gguf
	cargo build --release --locked --bin ajar
	python3 scripts/bench/local.py --ajar $(BUILT)/release/ajar --llama-server "$(LLAMA_SERVER)" --model "$(MODEL)" \
		--ajar-flags "RUSTFLAGS=$${RUSTFLAGS:-$$(grep -o 'target-cpu=[^"]*' .cargo/config.toml)}" $(BENCH)

check-embeddings: deps ## compare vectors with those of llama.cpp's own server: LLAMA_SERVER=… MODEL=….gguf
	cargo build --release --locked --bin ajar
	python3 scripts/bench/embeddings.py --ajar $(BUILT)/release/ajar --llama-server "$(LLAMA_SERVER)" --model "$(MODEL)"

check-vulkan: ## compute layers on a device through Vulkan: on a GPU's stand-in of Mesa's (Debian; minutes)
	scripts/check-vulkan.sh

eval-entities: deps ## measure detectors and the recogniser of names beside Presidio, on the data in $AJAR_DATA
	scripts/eval-entities.sh

# New inputs go to fuzz/found, which git ignores; what is worth keeping is copied to fuzz/corpus by hand.
fuzz: ## fuzz one reader of text, as in `make fuzz TARGET=expression SECONDS=60` (nightly, cargo-fuzz)
	@mkdir -p fuzz/found/$(TARGET)
	cargo +nightly fuzz run $(TARGET) fuzz/found/$(TARGET) fuzz/corpus/$(TARGET) -- \
		-max_total_time=$(SECONDS) -timeout=1 -max_len=16384 -dict=$(DICTIONARY)

# What is changed and what is run for it: .cargo/mutants.toml.
mutants: ## change the functions that decide, one place at a time: a test must fail (cargo-mutants, cargo-nextest; hours)
	cargo mutants

lint: deps ## check formatting and lints, with and without the engine
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- --deny warnings
	cargo clippy --locked --all-targets --no-default-features -- --deny warnings

fmt: ## format the code
	cargo fmt --all

image: ## build the container image
	docker build --tag ajar .
