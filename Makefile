# SPDX-License-Identifier: GPL-2.0-or-later

define help
make                build the module for every kernel with headers here
make KVER=RELEASE   build it for one of them
make SUITE=NAME     build it in the root of a Debian suite, for its kernel:
                    bookworm, trixie, forky or debug, which is forky with a
                    kernel that looks for mistakes
make SUITE=NAME tests   build the guest's test programs there
                    (W=1, C=1 and V=1 mean what they mean to the kernel)
make tools          build virtgpu-cachectl and the plugin for traces here, into
                    build/tools
make install        install it below $$(DESTDIR)$$(PREFIX); PREFIX is /usr/local
make screenshot     make the pictures in Documentation again, in guests
make bench          measure what the cache costs and saves, against the stock driver
make demo           show what the cache does, in a guest
make test           run the tests (an hour)
make check          run the most telling tests (five minutes)
make igt            run the IGT tests, ours and upstream's, of all suites, on
                    the stock driver and on ours
make soak           run those that take hours
make mutants        break the driver on purpose, again and again, and see the
                    tests notice (MUTANTS='NAME...': only these; --igt: the
                    IGT tests)
make lint           checkpatch, kernel-doc and sparse over our files; mutations that
                    can't be made any more
make clean          remove what was built here

What takes long to make (the roots, the guests' disks) is kept in
$(cache).
endef

shells := scripts/setup scripts/upstream-source scripts/guest-init scripts/lint \
	scripts/own-kernel scripts/docs packaging/build \
	packaging/debian/virtgpu-cachectl.prerm tests/igt/check \
	tests/igt/guest tests/guest/agent tests/guest/lifecycle \
	tests/guest/run tests/guest/suspend bench/in-guest bench/memory-in-guest \
	bench/um-init \
	tools/virtgpu-cachectl/completion.bash
cache := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/virtgpu-bo-cache

.PHONY: all modules tests tree bench-module igt-tests tools install lint deb \
	docs series test check bench igt soak mutants demo screenshot clean help setup

ifdef SUITE

# The same again, in the suite's root.  Our own make's jobs end at its door.
all modules tests tree bench-module igt-tests: setup
	@+scripts/suite $(SUITE) -- make --no-print-directory -j$(shell nproc) \
		$(if $(findstring s,$(firstword -$(MAKEFLAGS))),-s) \
		$(filter-out SUITE=%,$(MAKEOVERRIDES)) $@

else

KVER := $(patsubst /lib/modules/%/build,%,$(wildcard /lib/modules/*/build))

all modules: $(KVER:%=module-%)
	$(if $(KVER),,$(error no kernel headers here; try make SUITE=forky))

# Two builds in one folder would spoil it for each other.
locked = mkdir -p build/$*; flock build/$*/lock

module-%:
	@$(locked) $(MAKE) --no-print-directory -f scripts/module.mk KVER=$*

tree: $(KVER:%=tree-%)

tree-%:
	@$(locked) $(MAKE) --no-print-directory -f scripts/module.mk KVER=$* tree

bench-module: $(KVER:%=bench-module-%)

bench-module-%:
	@$(locked) $(MAKE) --no-print-directory -f scripts/module.mk KVER=$* bench-module

tests: $(KVER:%=tests-%)

tests-%:
	@$(locked) $(MAKE) --no-print-directory -C tests/guest O=$(CURDIR)/build/$*/tests
	@$(locked) $(MAKE) --no-print-directory -f scripts/module.mk KVER=$* tests
	@$(locked) $(MAKE) --no-print-directory -C tools/virtgpu-cachectl \
		O=$(CURDIR)/build/$*/tools

# Against the libigt of the root that this runs in
igt-tests:
	@$(MAKE) --no-print-directory -C tests/igt O=$(CURDIR)/build/igt

endif

tools install:
	@$(MAKE) --no-print-directory -C tools/virtgpu-cachectl \
		O=$(CURDIR)/build/tools $(if $(filter install,$@),install)

lint:
	scripts/suite forky -- scripts/lint
	tests/mutants --check
	if command -v shellcheck > /dev/null; then shellcheck $(shells); fi

deb: setup
	packaging/build

# The documents are built by the latest kernel's tools.
docs: setup
	@scripts/suite packaging -- scripts/docs "$$(scripts/suite forky -- sh -c \
		'scripts/upstream-source "$$(basename /lib/modules/*)"')"

series: setup
	scripts/series $(KERNEL)

setup:
	@scripts/setup

test: setup
	tests/run $(ARGS)

check: setup
	tests/run --quick $(ARGS)

igt: setup
	tests/run --soak --only ' igt$$' $(ARGS)

soak: setup
	tests/run --soak $(ARGS)

mutants: setup
	tests/mutants $(MUTANTS)

bench: setup
	scripts/bench $(BENCHFLAGS)

demo: setup
	scripts/demo $(DEMOFLAGS)

picture := virtgpu-cachectl-top.png
page := virtio-gpu-profiling.png

screenshot: setup
	$(MAKE) SUITE=forky modules tests
	mkdir -p build/screenshot
	scripts/guest --suite forky --timeout 300 --share build/screenshot -- \
		tests/guest/screenshot
	cp build/screenshot/$(picture) Documentation/gpu/$(picture)
	scripts/guest --suite forky --timeout 300 --share build/screenshot -- \
		tests/guest/profile weston
	scripts/suite forky -- chromium-headless-shell --no-sandbox \
		--disable-gpu --hide-scrollbars --window-size=760,1790 \
		--screenshot=build/screenshot/$(page) \
		file:///mnt/project/build/screenshot/weston.html
	cp build/screenshot/$(page) Documentation/gpu/$(page)

clean:
	rm -rf build

help:
	$(info $(help))@:
