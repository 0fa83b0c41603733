# Names for plain commands. `make test` is the one that runs everything.
GO ?= go

.PHONY: build test check flood integration install golden traces fuzz bench pgo vuln

build: ## the binary
	$(GO) build -o ironic-edge ./cmd/xcaddy-build

test: check flood install integration ## all tests; installs Ironic, QEMU and what else they need (Debian, root)

check: ## formatting, vet, unit tests with the race detector; needs nothing but Go
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	$(GO) vet -pgo=off ./...
	$(GO) vet -pgo=off -tags integration ./...
	$(GO) test -pgo=off -race ./...

flood: ## ten million machines that are nobody's; a minute on two cores
	$(GO) test -pgo=off ./caddymodule -count=1 -run TestMillionsOfMACs -v -args -macs 10000000

install: ## what the integration tests need
	./integration/install

integration: ## real Ironic, real iPXE in QEMU
	$(GO) test -tags integration -count=1 -p 1 -timeout 45m ./integration/...

golden: ## write the golden files of the configuration
	$(GO) test ./caddymodule -run TestAdapt -update

traces: ## write what the scripts of real Ironics do into ipxe/testdata
	rm -rf ipxe/testdata/[0-9]*
	$(GO) test -tags integration -count=1 -timeout 40m ./integration/trace -args -update

bench: ## boot scripts beside nginx, images beside nginx and varnish, a storm of machines
	$(GO) run ./bench scripts
	$(GO) run ./bench images
	$(GO) run ./bench storm

pgo: ## write the profile that the compiler optimises the binary by
	rm -rf profiles && mkdir profiles
	$(GO) run ./bench scripts -rounds 1 -seconds 15 -profiles profiles
	$(GO) run ./bench images -alone -only ranges -rounds 1 -seconds 15 -profiles profiles
	$(GO) run ./bench images -alone -only warm -rounds 1 -profiles profiles
	$(GO) tool pprof -proto profiles/*.pprof > cmd/xcaddy-build/default.pgo
	rm -r profiles

fuzz: ## each fuzzer for a little while
	$(GO) test ./ipxe -run '^$$' -fuzz FuzzParseMAC -fuzztime 20s
	$(GO) test ./ipxe -run '^$$' -fuzz FuzzToken -fuzztime 20s
	$(GO) test ./ironic/notification -run '^$$' -fuzz FuzzDecode -fuzztime 20s
	$(GO) test ./caddymodule -run '^$$' -fuzz FuzzClassify -fuzztime 20s
	$(GO) test ./caddymodule/inventory -run '^$$' -fuzz FuzzDecode -fuzztime 20s
	$(GO) test ./cache/disk -run '^$$' -fuzz FuzzRanges -fuzztime 20s
	$(GO) test ./cache/origin -run '^$$' -fuzz FuzzContentRange -fuzztime 20s
	$(GO) test ./cache/origin -run '^$$' -fuzz FuzzDigests -fuzztime 20s
	$(GO) test ./cache/origin -run '^$$' -fuzz FuzzChallenges -fuzztime 20s

vuln: ## known vulnerabilities in what we depend on
	$(GO) run golang.org/x/vuln/cmd/govulncheck@latest ./...
