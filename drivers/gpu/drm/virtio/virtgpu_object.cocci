// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_object.c: a new BO may get old pages, a freed one may be kept; who
// maps it may write to it.

@alloc@
expression dev, size;
@@
virtio_gpu_object_create(...)
{
<...
-drm_gem_shmem_create(dev, size)
+virtio_gpu_recycle_alloc(vgdev, params)
...>
}

@free@
@@
virtio_gpu_free_object(...)
{
...
+if (virtio_gpu_recycle_free(bo))
+	return;
if (bo->created) { ... }
...
}

@cleanup@
identifier vgdev;
expression dev_private;
@@
virtio_gpu_cleanup_object(...)
{
struct virtio_gpu_device *vgdev = dev_private;
+u64 released;
...
+released = virtio_gpu_recycle_cleanup(bo);
virtio_gpu_resource_id_put(vgdev, bo->hw_res_handle);
...
+virtio_gpu_recycle_cleaned(vgdev, released);
}

@id_put@
@@
-static
 void virtio_gpu_resource_id_put(...)
{
...
}

@shmem_init@
identifier device, object, entries, count;
@@
-static int virtio_gpu_object_shmem_init(struct virtio_gpu_device *device, struct virtio_gpu_object *object, struct virtio_gpu_mem_entry **entries, unsigned int *count)
+int virtio_gpu_object_shmem_init(struct virtio_gpu_device *device,
+				 struct virtio_gpu_object *object,
+				 struct virtio_gpu_mem_entry **entries,
+				 unsigned int *count)
{
...
}

@mmap@
@@
struct drm_gem_object_funcs virtio_gpu_shmem_funcs = {
-.mmap = drm_gem_shmem_object_mmap,
+.mmap = virtio_gpu_recycle_mmap,
};

@vmap@
@@
struct drm_gem_object_funcs virtio_gpu_shmem_funcs = {
-.vmap = drm_gem_shmem_object_vmap,
+.vmap = virtio_gpu_recycle_vmap,
};

// kernel: >= 6.12
@status@
expression freeing;
@@
struct drm_gem_object_funcs virtio_gpu_shmem_funcs = {
 .free = freeing,
+.status = virtio_gpu_fdinfo_status,
};
