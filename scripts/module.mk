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

# The rules for virtgpu_x.c are in virtgpu_x.cocci, for virtgpu_x.h in
# virtgpu_x_h.cocci.
source_of = $(patsubst %_h.c,%.h,$(1:.cocci=.c))
rules := $(notdir $(wildcard $(driver)/*.cocci))
plain := $(notdir $(wildcard $(upstream)/$(driver)/*.[ch])) Makefile
plain := $(filter-out $(call source_of,$(rules)),$(plain))
ours := $(patsubst $(driver)/%,%,$(wildcard $(driver)/*.[ch] \
	$(driver)/tests/*.[ch] $(driver)/Kbuild))
uapi := $(wildcard include/uapi/drm/*.h)

# A file that is no longer there, or no longer changed, leaves no trace: when
# the list of the files changes, all are put together anew.
inputs := $(CURDIR) $(upstream) $(rules) $(plain) $(ours) $(uapi)
ifneq ($(strip $(file < $(build)/inputs)),$(strip $(inputs)))
$(shell rm -rf $(build)/drivers $(build)/include $(build)/inputs)
$(shell mkdir -p $(build)/$(driver)/tests $(build)/include/trace \
	$(build)/include/uapi/drm)
$(file > $(build)/inputs,$(inputs))
endif

# Debian's headers for 7.2 lack the script by which the kernel decides whether
# sparse is good enough.  It is, whatever kbuild says then.
check := $(if $(C),KBUILD_CHECKSRC=$(C))

# The unit tests are linked in where the kernel can run them.
kunit := $(shell sed -n 's/^CONFIG_KUNIT=//p' $(headers)/.config)

copies := $(addprefix $(build)/$(driver)/,$(plain) $(ours)) \
	$(addprefix $(build)/,$(uapi))
changed := $(patsubst %,$(build)/$(driver)/%,$(call source_of,$(rules)))

$(build)/virtio-gpu.ko: $(copies) $(changed) FORCE
	$(Q)$(MAKE) -C $(headers) M=$(build)/$(driver) \
		CONFIG_DRM_VIRTIO_GPU=m CONFIG_DRM_VIRTIO_GPU_KMS=y \
		CONFIG_DRM_VIRTIO_GPU_KUNIT_TEST=$(if $(kunit),y) \
		NOSTDINC_FLAGS='-nostdinc -I$(build)/include/uapi' \
		KCFLAGS='$(flags)' $(check) modules
	$(Q)cp $(build)/$(driver)/virtio-gpu.ko $@
	@echo "  $(@:$(CURDIR)/%=%)"

# What modinfo says of ours; upstream's module has none.
version := 0.1.0

# Upstream's trace header names its folder as seen from include/trace.  Our
# uAPI header has to be found before the kernel's own, which it includes.
flags := -I$(build)/include/trace \
	-DVIRTGPU_BO_CACHE_VERSION=$(version) $(KCFLAGS)

# V=1 shows the commands, as in the kernel.
Q := $(if $(filter 1,$(V)),,@)

copy = $(Q)cp $< $@

$(addprefix $(build)/$(driver)/,$(plain)): $(build)/%: $(upstream)/%
	$(copy)

$(addprefix $(build)/$(driver)/,$(ours)) $(addprefix $(build)/,$(uapi)): \
		$(build)/%: %
	$(copy)

# A kernel may lack the file; that is well if its rules are for others only.
define apply
$(build)/$(driver)/$(call source_of,$(1)): $(driver)/$(1) scripts/apply-rules \
		$(wildcard $(upstream)/$(driver)/$(call source_of,$(1)))
	@echo "  COCCI   $$(notdir $$@)"
	$(Q)scripts/apply-rules $(KVER) $$< \
		$(upstream)/$(driver)/$(call source_of,$(1)) $$@
endef
$(foreach file,$(rules),$(eval $(call apply,$(file))))

# The modules by which the tests make commands fail, and are the host.  The
# latter needs what only the debug kernel has.
tests: $(build)/tests/virtgpu_fault.ko

$(build)/tests/virtgpu_fault.ko: FORCE
	$(Q)mkdir -p $(build)/tests/module
	$(Q)cp -u tests/module/* $(build)/tests/module
	$(Q)$(MAKE) -C $(headers) M=$(build)/tests/module \
		KCFLAGS='-I$(upstream)/$(driver) $(KCFLAGS)' modules
	$(Q)cp $(build)/tests/module/*.ko $(build)/tests

.PHONY: FORCE tests
.DELETE_ON_ERROR:
