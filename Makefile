# The verbs of daily work. `make` alone lists them.

.DEFAULT_GOAL := help
.PHONY: help run test bench entities docs fmt lint clean

help: ## List these verbs
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 18

run: ## Build, and serve on 127.0.0.1:8080 from a SQLite database under data/
	@scripts/run

test: ## Run every test on SQLite and on a throw-away PostgreSQL
	@scripts/test

bench: ## Measure what a server does in a second, beside the least that it could
	@scripts/postgres cargo bench --package tests

entities: ## Make entity/src again from the migrations
	@scripts/generate-entities

docs: ## Make docs/openapi.json and docs/database/schema.md again from the code
	@scripts/generate-docs

fmt: ## Format the code
	cargo fmt --all

lint: ## Check format, lints, licences and sources
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	scripts/tool cargo-deny --log-level error check licenses bans sources

clean: ## Remove all that was built (the database under data/ stays)
	cargo clean
