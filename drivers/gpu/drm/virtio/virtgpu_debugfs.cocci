// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_debugfs.c: ours beside the driver's own.

@debugfs@
@@
virtio_gpu_debugfs_init(struct drm_minor *minor)
{
+virtio_gpu_bo_cache_debugfs_add(minor);
...
}
