// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_madvise.c, ours, for earlier kernels; see virtgpu_compat.h.

// 6.2: an object's pages are locked by its reservation
// kernel: < 6.2
@put_pages@
identifier shmem;
@@
virtio_gpu_madvise_put_pages(struct drm_gem_shmem_object *shmem)
{
-dma_resv_lock(...);
-drm_gem_shmem_put_pages_locked(shmem);
-dma_resv_unlock(...);
+drm_gem_shmem_put_pages(shmem);
}

// kernel: < 6.2
@fault@
expression obj;
@@
virtio_gpu_madvise_fault(...)
{
...
-dma_resv_lock(obj->resv, NULL);
+mutex_lock(&bo->base.pages_lock);
...
-dma_resv_unlock(obj->resv);
+mutex_unlock(&bo->base.pages_lock);
...
}

// kernel: < 6.2
@drop@
expression obj;
@@
virtio_gpu_madvise_drop(...)
{
...
-dma_resv_lock(obj->resv, NULL);
-dma_resv_unlock(obj->resv);
+mutex_lock(&bo->base.pages_lock);
+mutex_unlock(&bo->base.pages_lock);
...
}

// 6.14: a BO knows whether the host has its backing
// kernel: < 6.14
@attached@
expression bo;
@@
virtio_gpu_madvise_release(...)
{
...
-bo->attached = false;
...
}

// 6.16: counts of users are a refcount_t, and pins are told from mappings
// kernel: < 6.16
@pinned@
expression shmem;
@@
virtio_gpu_madvise_is_pinned(...)
{
-return refcount_read(&shmem->vmap_use_count) || refcount_read(...);
+return shmem->vmap_use_count || shmem->pages_use_count > 1;
}
