PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin

help:  ## This list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/run: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/test: requirements.txt requirements-tracing.txt requirements-dev.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch .venv/run $@

run: .venv/run  ## Everything in one process with demo data, at http://127.0.0.1:8000 (PORT= for another)
	@DEBUG=on $(BIN)/python manage.py migrate --verbosity 0
	@DEBUG=on $(BIN)/python manage.py demo
	@DEBUG=on LOG_LEVEL=$${LOG_LEVEL:-WARNING} $(BIN)/python manage.py up 127.0.0.1:$(PORT)

test: .venv/test $(if $(ARGS),,check)  ## Every check and test, or a part: make test ARGS="tests/feeds -k hot"; full sizes: ARGS=--slow
	$(BIN)/python -m tests $(ARGS)

check: .venv/test  ## Format, lint, types, import contracts, migrations, deployment settings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	DEBUG=on $(BIN)/mypy events feeds notifications airy
	$(BIN)/lint-imports
	DEBUG=on $(BIN)/python manage.py makemigrations --check --dry-run
	SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(60))') SECURE_SSL_REDIRECT=on SECURE_HSTS_SECONDS=31536000 \
		ALLOWED_HOSTS=airy.example EMAIL_URL=smtp+tls://mail.example $(BIN)/python manage.py check --deploy --fail-level WARNING

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
