# SPDX-License-Identifier: GPL-2.0-or-later
#
# Compiles the driver of TREE, as it is, for kernel KVER.  DKMS uses this too, and
# has a tree for each series of kernels.

# 6.12 of 6.12.117+deb13-amd64, 7.2 of 7.2-rc1-amd64
series := $(shell echo '$(KVER)' | sed 's/^\([0-9]*\.[0-9]*\).*/\1/')
TREE ?= $(CURDIR)/$(series)
headers := /lib/modules/$(KVER)/build

# What modinfo says of ours; upstream's module has none.
version := 0.1.0
module_version := -DBO_CACHE_VERSION=$(version) \
	-include $(abspath $(dir $(lastword $(MAKEFILE_LIST))))/module-version.h

# The uAPI header has more than the kernel's own, and looks for others beside it.
uapi_first := -I$(TREE)/include/uapi -I$$(srctree)/include/uapi/drm

# Upstream's trace header names its folder as seen from include/trace.
flags := -I$(TREE)/include/trace $(KCFLAGS)

# Debian's headers for 7.2 lack the script by which the kernel decides whether
# sparse is good enough.  It is, whatever kbuild says then.
check := $(if $(C),KBUILD_CHECKSRC=$(C))

# The unit tests are linked in where the kernel can run them.
kunit := $(shell sed -n 's/^CONFIG_KUNIT=//p' $(headers)/.config)

# V=1 shows the commands, as in the kernel.
Q := $(if $(filter 1,$(V)),,@)

modules:
	$(Q)mkdir -p $(TREE)/include/trace
	$(Q)$(MAKE) -C $(headers) M=$(TREE)/drivers/gpu/drm/virtio \
		CONFIG_DRM_VIRTIO_GPU=m CONFIG_DRM_VIRTIO_GPU_KMS=y \
		CONFIG_DRM_VIRTIO_GPU_KUNIT_TEST=$(if $(kunit),y) \
		NOSTDINC_FLAGS='-nostdinc $(uapi_first)' KCFLAGS='$(flags)' \
		CFLAGS_virtgpu_recycle.o='$(module_version)' $(check) modules

.PHONY: modules
