GO ?= go
# No race detector where nothing runs at once (TestCalmRooms), nor where tests start processes (bench, cmd, local).
CALM = . ./wire ./key ./grant ./actor ./session ./spread ./seal/... ./internal/ages ./internal/attest ./internal/audience ./internal/blast ./internal/cda ./internal/contain ./internal/detect ./internal/dice ./internal/disclosure ./internal/escrow ./internal/fhir/... ./internal/hl7 ./internal/pdf ./internal/policy ./internal/qr ./internal/quorum ./internal/relation ./internal/report ./internal/sim ./internal/smart
# What ships links no C, and neither does what is tested and checked.
export CGO_ENABLED = 0
.PHONY: build up test check static vectors reproduce demo sim bench fuzz data-check clients
build:
	$(GO) build -trimpath -buildvcs=false -o bin/ ./cmd/...
	$(GO) build -trimpath -buildvcs=false -tags mutant -o bin/mutant/ ./cmd/...
up: build
	bin/abaton up --dir run/demo
test: build
	@command -v gcc >/dev/null || { echo "make test needs gcc for the race detector: install the package gcc"; exit 1; }
	$(GO) vet ./... && $(GO) test -vet=off -timeout 20m ./...
	CGO_ENABLED=1 $(GO) test -vet=off -race -short -timeout 20m $(filter-out $(shell $(GO) list $(CALM) ./bench/... ./cmd/... ./internal/local ./web),$(shell $(GO) list ./...))
	cd interop && CGO_ENABLED=1 $(GO) test -race -timeout 20m ./...
check: static vectors reproduce demo sim clients test
static:
	@! gofmt -l . | grep . || { echo "gofmt would change these"; exit 1; }
	staticcheck ./...
	govulncheck $(if $(VULNDB),-db file://$(abspath $(VULNDB))) ./...
vectors:
	$(GO) test -count=1 ./wire ./key ./grant ./actor ./session ./spread ./seal ./ledger ./internal/escrow ./internal/relation -run Vectors -update
	git diff --exit-code -- vectors
reproduce: build
	cd tools && $(GO) run ./reproduce .. $(ONLY)
demo: build
	bin/abaton demo --json
sim:
	$(GO) test -count=1 -timeout 30m ./internal/sim -v -run Sim -seed $(or $(SEED),1) -seeds $(or $(SEEDS),20000) && $(GO) test -count=1 -tags mutant -parallel 6 ./internal/custody -run Mutant
bench: build
	$(GO) run ./bench
fuzz:
	cd tools && $(GO) run ./fuzz -time $(or $(FUZZTIME),60s) ..
clients: build
	interop/run
data-check: build
	ABATON_FHIR_DATA=$(abspath $(or $(DATA),../shared/data)) $(GO) test -count=1 -timeout 60m -run 'TestAll|DataCheck' ./internal/fhir/... ./internal/gateway
