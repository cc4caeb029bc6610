// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_recycle.c, ours, for earlier kernels; see virtgpu_compat.h.

// 6.2: an object's pages are locked by its reservation
// kernel: < 6.2
@drop@
expression shmem;
@@
virtio_gpu_recycle_op_drop(...)
{
...
-if (!drm_gem_shmem_is_purgeable(shmem) ||
-    !dma_resv_trylock(...))
-	return;
-drm_gem_shmem_purge_locked(shmem);
-dma_resv_unlock(...);
+if (drm_gem_shmem_is_purgeable(shmem))
+	drm_gem_shmem_purge(shmem);
}
