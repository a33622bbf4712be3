# `make` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help build demo test bench bench-micro fuzz lint faults soak storm kafka clean

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the program: target/release/kafka-redis-bridge
	@cargo build --release --locked

demo: ## Everything on one machine, live; make demo ARGS="--for 20s"
	@scripts/install redis-server
	@cargo build --release --locked
	@exec $(TARGET_DIR)/release/kafka-redis-bridge demo $(ARGS)

test: ## Run every test, on a real Kafka and a real Redis; make test ARGS="--test real_rebalance"
	@scripts/test $(ARGS)

bench: ## Measure the bridge against the floor; make bench ARGS="--only drain --rounds 5"
	@scripts/bench $(ARGS)

bench-micro: ## Measure the single stages, without servers; make bench-micro ARGS=derive
	@cargo bench --quiet --locked --bench micro -- $(ARGS)

faults: ## Break everything, lose nothing: the fault matrix; make faults ONLY=redis-restart SEED=7 ARGS=--quick
	@scripts/faults $(ARGS)

soak: ## One hour with everything slow: the memory stays flat
	@scripts/faults --only slow-everything --memory-minutes 60 $(ARGS)

storm: ## Random faults for a while; make storm MINUTES=10 SEED=7
	@scripts/faults --storm $(or $(MINUTES),10) $(ARGS)

fuzz: ## Look for input that breaks something; make fuzz ARGS="--minutes 10 --only decode"
	@scripts/fuzz $(ARGS)

lint: ## Formatting, clippy, cargo-deny, ShellCheck
	@scripts/lint

kafka: ## A real Kafka in the foreground, without containers; make kafka ARGS="--sasl"
	@scripts/kafka run $(ARGS)

clean: ## Remove what was built
	@cargo clean
