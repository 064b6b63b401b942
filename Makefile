PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin

help:  ## This list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

.venv/run: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/test: .venv/run requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

run: .venv/run  ## Everything in one process with demo data, at http://127.0.0.1:8000 (PORT= for another)
	@DEBUG=on $(BIN)/python manage.py migrate --verbosity 0
	@DEBUG=on $(BIN)/python manage.py demo
	@DEBUG=on LOG_LEVEL=$${LOG_LEVEL:-WARNING} $(BIN)/python manage.py up 127.0.0.1:$(PORT)

test: .venv/test check  ## Every check and every test; services that do not answer are named at the end
	$(BIN)/python -m tests

check: .venv/test  ## Format, lint, types, import contracts, migrations, deployment settings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	DEBUG=on $(BIN)/mypy events feeds notifications airy
	$(BIN)/lint-imports
	DEBUG=on $(BIN)/python manage.py makemigrations --check --dry-run
	SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(60))') SECURE_SSL_REDIRECT=on SECURE_HSTS_SECONDS=31536000 \
		ALLOWED_HOSTS=airy.example $(BIN)/python manage.py check --deploy --fail-level WARNING

format: .venv/test  ## Put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

messages: .venv/run  ## Collect the texts to translate and compile the translations (needs gettext)
	DEBUG=on $(BIN)/python manage.py makemessages --locale zh_Hans --no-obsolete --no-wrap --add-location file \
		--ignore benchmarks --ignore examples --ignore tests --ignore var
	DEBUG=on $(BIN)/python manage.py compilemessages --ignore .venv

bench: .venv/test  ## The benchmarks beside their peers, small
	$(BIN)/python -m benchmarks

.PHONY: help run test check format messages bench
