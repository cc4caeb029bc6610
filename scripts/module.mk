# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds virtio-gpu.ko for kernel KVER in build/KVER: upstream's files, changed
# by our rules, and our own files beside them.

ifndef KVER
$(error which kernel? KVER=RELEASE)
endif

driver := drivers/gpu/drm/virtio
build := $(CURDIR)/build/$(KVER)
headers := /lib/modules/$(KVER)/build
upstream := $(shell scripts/upstream-source $(KVER))
ifeq ($(and $(upstream),$(wildcard $(headers)/Makefile)),)
$(error cannot build for $(KVER): apt-get install linux-headers-$(KVER) and \
	what is named above)
endif

# Ours, and those of upstream's that ours change; scripts/kernel_tree.py says how.
source_of = $(patsubst %_h.c,%.h,$(1:.cocci=.c))
rules := $(notdir $(wildcard $(driver)/*.cocci))
uapi := include/uapi/drm/virtgpu_drm.h
added := $(driver)/Makefile $(driver)/Kconfig $(uapi)
ours := $(shell scripts/kernel_tree.py files $(KVER))
plain := $(patsubst $(upstream)/%,%,$(wildcard $(upstream)/$(driver)/*.[ch]))
changed := $(addprefix $(driver)/,$(call source_of,$(rules)))
plain := $(filter-out $(changed),$(plain))
ours := $(filter-out $(changed),$(ours))

# A file that is no longer there, or no longer changed, leaves no trace: when
# the list of the files changes, all are put together anew.
inputs := $(CURDIR) $(upstream) $(rules) $(plain) $(ours) $(added)
ifneq ($(strip $(file < $(build)/inputs)),$(strip $(inputs)))
$(shell rm -rf $(build)/drivers $(build)/include $(build)/inputs)
$(shell mkdir -p $(build)/$(driver)/tests $(build)/include/uapi/drm)
$(file > $(build)/inputs,$(inputs))
endif

tree := $(addprefix $(build)/,$(plain) $(ours) $(changed) $(added))

$(build)/virtio-gpu.ko: $(tree) FORCE
	$(Q)$(MAKE) -f scripts/compile.mk KVER=$(KVER) TREE=$(build)
	$(Q)cp $(build)/$(driver)/virtio-gpu.ko $@
	@echo "  $(@:$(CURDIR)/%=%)"

# V=1 shows the commands, as in the kernel.
Q := $(if $(filter 1,$(V)),,@)

# All that upstream has in the driver's folder and for its users, with ours.
tree: $(tree)

$(addprefix $(build)/,$(plain)): $(build)/%: $(upstream)/%
	$(Q)cp $< $@

$(addprefix $(build)/,$(ours)): $(build)/%: %
	$(Q)cp $< $@

define add
$(build)/$(1): $(2) $(upstream)/$(1) scripts/kernel_tree.py
	$(Q)scripts/kernel_tree.py add $(KVER) $$< $(upstream)/$(1) $$@
endef
$(foreach file,$(added),$(eval $(call add,$(file),$(firstword \
	$(wildcard $(file).add) $(file)))))

# A kernel may lack the file; that is well if its rules are for others only.
define apply
$(build)/$(driver)/$(call source_of,$(1)): $(driver)/$(1) scripts/apply-rules \
		scripts/kernel_tree.py $(wildcard $(2))
	@echo "  COCCI   $$(notdir $$@)"
	$(Q)scripts/apply-rules $(KVER) $$< $(2) $$@
endef
upstream_or_ours = $(or $(wildcard $(driver)/$(1)),$(upstream)/$(driver)/$(1))
$(foreach file,$(rules),$(eval $(call apply,$(file),$(call \
	upstream_or_ours,$(call source_of,$(file))))))

# The modules by which the tests make commands fail, and are the host.  The
# latter needs what only the debug kernel has.
tests: $(build)/tests/virtgpu_fault.ko

$(build)/tests/virtgpu_fault.ko: FORCE
	$(Q)mkdir -p $(build)/tests/module
	$(Q)cp -u tests/module/* $(build)/tests/module
	$(Q)$(MAKE) -C $(headers) M=$(build)/tests/module \
		KCFLAGS='-I$(upstream)/$(driver) $(KCFLAGS)' modules
	$(Q)cp $(build)/tests/module/*.ko $(build)/tests

# The store with nothing but a module that times it, for the user-mode kernel
store := $(addprefix $(build)/$(driver)/virtgpu_,bo_cache.c bo_cache.h \
	bo_cache_reclaim.c bo_cache_trace.h bo_cache_trace_points.c)
um := $(shell sed -n 's/^CONFIG_UML=y/ARCH=um/p' $(headers)/.config)

bench-module: $(build)/bench/virtgpu_bench.ko

$(build)/bench/virtgpu_bench.ko: $(store) FORCE
	$(Q)mkdir -p $(build)/bench
	$(Q)cp -u $(store) bench/Kbuild bench/*.[ch] $(build)/bench
	$(Q)$(MAKE) -C $(headers) $(um) M=$(build)/bench modules

.PHONY: FORCE tests tree bench-module
.DELETE_ON_ERROR:
